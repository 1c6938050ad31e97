-- sql/czar/snapshots/snapshot_pairs.sql
-- How far apart the published pairs of each match table are; left out where a part does not tell.
-- Parameters: none.   Returns: table_id, farthest_pair_deg.   Used by: registry.catalog_reader
SELECT p.table_id, max(p.farthest_pair_deg)
  FROM part p
  JOIN catalog_table t USING (table_id)
 WHERE t.kind = 'match' AND p.role = 'chunk' AND p.snapshot IS NOT NULL
 GROUP BY p.table_id
HAVING count(p.farthest_pair_deg) = count(*);
