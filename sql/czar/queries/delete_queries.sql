-- sql/czar/queries/delete_queries.sql
-- Take away rows of running queries of a process.
-- Parameters: czar (text), ids (text[]; NULL for all).   Returns: nothing.
-- Used by: registry.queries.delete_queries
DELETE FROM query WHERE czar = %(czar)s::text AND (%(ids)s::text[] IS NULL OR query_id = ANY (%(ids)s::text[]));
