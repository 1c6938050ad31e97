-- sql/czar/workers/put_worker.sql
-- Add a worker or change where it is.
-- Parameters: name, conninfo, parts_dir (text).   Returns: one row when something changed, else none.
-- Used by: registry.databases.put_worker
INSERT INTO worker AS w (name, conninfo, parts_dir)
VALUES (%(name)s::text, %(conninfo)s::text, %(parts_dir)s::text)
    ON CONFLICT (name) DO UPDATE SET conninfo = excluded.conninfo, parts_dir = excluded.parts_dir
 WHERE (w.conninfo, w.parts_dir) IS DISTINCT FROM (excluded.conninfo, excluded.parts_dir)
RETURNING worker_id;
