-- sql/czar/workers/workers.sql
-- All workers, in the order in which they were added.
-- Parameters: none.   Returns: worker_id, name, conninfo, parts_dir.
-- Used by: registry.catalog_reader, registry.snapshot_reader
SELECT worker_id, name, conninfo, parts_dir FROM worker ORDER BY worker_id;
