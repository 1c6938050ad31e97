-- sql/czar/transactions/unfinished_transactions.sql
-- Super-transactions that somebody works on, or died over.
-- Parameters: database (text), NULL for all.   Returns: one row each, oldest first.
-- Used by: registry.transactions.unfinished_transactions
SELECT x.transaction_id, d.name, x.state, x.context, x.started_at, x.compacts
  FROM super_transaction x
  JOIN catalog_database d USING (database_id)
 WHERE x.state IN ('OPEN', 'COMMITTED')
   AND (%(database)s::text IS NULL OR d.name = %(database)s::text)
 ORDER BY x.transaction_id;
