-- sql/czar/queries/query_czars.sql
-- The processes that are said to run queries or to read snapshots.
-- Parameters: none.   Returns: their names.
-- Used by: registry.queries.sweep_czars
SELECT czar FROM query UNION SELECT czar FROM snapshot_reader;
