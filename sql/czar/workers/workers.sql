-- sql/czar/workers/workers.sql
-- All workers, in the order in which they were added.
-- Parameters: none.   Returns: name, conninfo, parts_dir.   Used by: registry.catalog_reader
SELECT name, conninfo, parts_dir FROM worker ORDER BY worker_id;
