-- sql/czar/queries/list_queries.sql
-- The queries that run on the cluster, the oldest first.
-- Parameters: none.   Returns: id, process, kind, priority, phase, owner, text, start, snapshots.
-- Used by: registry.queries.list_queries
SELECT query_id, czar, kind, priority, phase, owner, text, started_at, snapshots
  FROM query
 ORDER BY started_at, query_id;
