-- sql/migrations/0002_pre_farthest_pair.sql
-- How far apart the pairs of a match table are: within the overlap, chunks can join them alone.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
ALTER TABLE part ADD COLUMN farthest_pair_deg double precision CHECK (farthest_pair_deg >= 0);
COMMENT ON COLUMN part.farthest_pair_deg IS
    'Of a match table: no pair is further apart, degrees; NULL when it was not measured.';
