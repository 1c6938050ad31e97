-- sql/czar/queries/query_czars.sql
-- The processes that are said to run queries.
-- Parameters: none.   Returns: their names.
-- Used by: registry.queries.sweep_queries
SELECT DISTINCT czar FROM query;
