-- sql/czar/workers/add_worker_rows.sql
-- Count the chunk parts that a super-transaction has added to each worker.
-- Parameters: transaction_id (bigint).   Returns: nothing.   Used by: registry.transactions.commit_transaction
INSERT INTO worker_rows AS r (worker_id, database_id, rows)
SELECT p.worker_id, x.database_id, sum(p.rows)::bigint
  FROM part p
  JOIN super_transaction x USING (transaction_id)
 WHERE p.transaction_id = %(transaction_id)s::bigint AND p.role = 'chunk'
 GROUP BY p.worker_id, x.database_id
    ON CONFLICT (worker_id, database_id) DO UPDATE SET rows = r.rows + excluded.rows;
