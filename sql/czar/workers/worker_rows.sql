-- sql/czar/workers/worker_rows.sql
-- Rows of all committed chunk parts of each worker; placement gives new chunks to the one with the fewest.
-- Parameters: none.   Returns: name, rows.   Used by: registry.transactions.worker_rows
SELECT w.name, coalesce(sum(p.rows), 0)::bigint
  FROM worker w
  LEFT JOIN part p ON p.worker_id = w.worker_id AND p.role = 'chunk'
 GROUP BY w.worker_id
 ORDER BY w.worker_id;
