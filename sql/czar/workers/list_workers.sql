-- sql/czar/workers/list_workers.sql
-- What each worker holds.
-- Parameters: none.   Returns: one row a worker.   Used by: registry.listing
SELECT w.name, w.conninfo, w.parts_dir,
       (SELECT count(*) FROM placement l WHERE l.worker_id = w.worker_id),
       coalesce(sum(p.rows) FILTER (WHERE p.role = 'chunk'), 0)::bigint,
       count(p.part_id),
       coalesce(sum(p.bytes), 0)::bigint
  FROM worker w
  LEFT JOIN part p ON p.worker_id = w.worker_id
 GROUP BY w.worker_id
 ORDER BY w.worker_id;
