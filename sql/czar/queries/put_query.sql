-- sql/czar/queries/put_query.sql
-- Write down that a query runs, or how far it is.
-- Parameters: query_id, czar, kind (text), priority (integer), phase, owner (text), identity (jsonb), text (text),
--   started_at (timestamptz), snapshots (jsonb).   Returns: nothing.
-- Used by: registry.queries.put_query
INSERT INTO query (query_id, czar, kind, priority, phase, owner, identity, text, started_at, snapshots)
VALUES (%(query_id)s::text, %(czar)s::text, %(kind)s::text, %(priority)s::integer, %(phase)s::text, %(owner)s::text,
        %(identity)s::jsonb, %(text)s::text, %(started_at)s::timestamptz, %(snapshots)s::jsonb)
ON CONFLICT (czar, query_id) DO UPDATE
  SET priority = excluded.priority, phase = excluded.phase, snapshots = excluded.snapshots;
