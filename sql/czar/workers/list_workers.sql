-- sql/czar/workers/list_workers.sql
-- What each worker holds, by the counts that are kept when parts are committed.
-- Parameters: none.   Returns: one row a worker.   Used by: registry.listing
SELECT w.name, w.conninfo, w.parts_dir,
       (SELECT count(*) FROM placement l WHERE l.worker_id = w.worker_id),
       coalesce(sum(r.rows), 0)::bigint,
       coalesce(sum(r.parts), 0)::bigint,
       coalesce(sum(r.bytes), 0)::bigint
  FROM worker w
  LEFT JOIN worker_rows r USING (worker_id)
 GROUP BY w.worker_id
 ORDER BY w.worker_id;
