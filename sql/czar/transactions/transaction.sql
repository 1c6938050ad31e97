-- sql/czar/transactions/transaction.sql
-- One super-transaction.
-- Parameters: transaction_id (bigint).   Returns: one row or none.   Used by: registry.transactions.transaction
SELECT x.transaction_id, d.name, x.state, x.context, x.started_at, x.compacts
  FROM super_transaction x
  JOIN catalog_database d USING (database_id)
 WHERE x.transaction_id = %(transaction_id)s::bigint;
