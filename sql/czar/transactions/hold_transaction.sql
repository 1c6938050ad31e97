-- sql/czar/transactions/hold_transaction.sql
-- Lock a super-transaction's row and its database's, so that commits and publishing of a database follow each other.
-- Parameters: transaction_id (bigint).   Returns: database name, state, database_id, family_id, or no row.
-- Used by: registry.transaction_steps
SELECT d.name, x.state, d.database_id, d.family_id
  FROM catalog_database d
  JOIN super_transaction x USING (database_id)
 WHERE x.transaction_id = %(transaction_id)s::bigint
   FOR NO KEY UPDATE;
