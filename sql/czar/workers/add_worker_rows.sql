-- sql/czar/workers/add_worker_rows.sql
-- Count the parts that a super-transaction has added to each worker, and the rows of the chunk parts among them.
-- Parameters: transaction_id (bigint).   Returns: nothing.   Used by: registry.transactions.commit_transaction
INSERT INTO worker_rows AS r (worker_id, database_id, rows, parts, bytes)
SELECT p.worker_id, x.database_id, coalesce(sum(p.rows) FILTER (WHERE p.role = 'chunk'), 0)::bigint, count(*),
       sum(p.bytes)::bigint
  FROM part p
  JOIN super_transaction x USING (transaction_id)
 WHERE p.transaction_id = %(transaction_id)s::bigint AND p.worker_id IS NOT NULL
 GROUP BY p.worker_id, x.database_id
    ON CONFLICT (worker_id, database_id) DO UPDATE
   SET rows = r.rows + excluded.rows, parts = r.parts + excluded.parts, bytes = r.bytes + excluded.bytes;
