-- sql/czar/workers/worker_rows.sql
-- Rows of all committed chunk parts of each worker; placement gives new chunks to the one with the fewest.
-- Parameters: none.   Returns: name, rows.   Used by: registry.transactions.worker_rows
SELECT w.name, coalesce(sum(r.rows), 0)::bigint
  FROM worker w
  LEFT JOIN worker_rows r USING (worker_id)
 GROUP BY w.worker_id
 ORDER BY w.worker_id;
