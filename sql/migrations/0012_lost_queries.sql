-- sql/migrations/0012_lost_queries.sql
-- Note since when the process of a running query has not been there: one whose connection was cut comes back.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
ALTER TABLE query ADD COLUMN lost_at timestamptz;
COMMENT ON COLUMN query.lost_at IS 'When it was first seen that nobody holds the lock of its process; NULL while somebody does.';
