-- sql/czar/queries/list_queries.sql
-- The queries that run on the cluster, the oldest first.
-- Parameters: query_id (text; NULL for all).   Returns: id, process, kind, priority, phase, owner, identity, text,
--   start, snapshots.
-- Used by: registry.queries.list_queries
SELECT query_id, czar, kind, priority, phase, owner, identity, text, started_at, snapshots
  FROM query
 WHERE %(query_id)s::text IS NULL OR query_id = %(query_id)s::text
 ORDER BY started_at, query_id;
