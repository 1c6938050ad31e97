-- sql/czar/snapshots/snapshot_index_runs.sql
-- The published runs of the director indexes.
-- Parameters: none.   Returns: table_id, paths (oldest first).   Used by: registry.catalog_reader
SELECT table_id, array_agg(path ORDER BY part_id)
  FROM part
 WHERE role = 'index' AND snapshot IS NOT NULL
 GROUP BY table_id;
