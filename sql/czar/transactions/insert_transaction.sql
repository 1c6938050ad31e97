-- sql/czar/transactions/insert_transaction.sql
-- Open a super-transaction.
-- Parameters: database (text), context (jsonb).   Returns: transaction_id, or no row when there is no such database.
-- Used by: registry.transactions.begin_transaction
INSERT INTO super_transaction (database_id, context)
SELECT database_id, %(context)s::jsonb FROM catalog_database WHERE name = %(database)s::text
RETURNING transaction_id;
