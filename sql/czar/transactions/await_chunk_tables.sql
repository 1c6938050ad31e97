-- sql/czar/transactions/await_chunk_tables.sql
-- Give a pending generation to every chunk table (and ref table) that a super-transaction brings rows for.
-- Parameters: transaction_id (bigint).   Returns: nothing.   Used by: registry.transactions.commit_transaction
INSERT INTO chunk_table AS ct (table_id, chunk_id, pending)
SELECT DISTINCT table_id, chunk_id, 1
  FROM part
 WHERE transaction_id = %(transaction_id)s::bigint AND role <> 'index'
    ON CONFLICT (table_id, chunk_id) DO UPDATE SET pending = coalesce(ct.pending, coalesce(ct.served, 0) + 1);
