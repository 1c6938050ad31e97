-- sql/czar/transactions/insert_transaction.sql
-- Open a super-transaction.
-- Parameters: database (text), context (jsonb), compacts (boolean).
-- Returns: transaction_id, or no row when there is no such database.   Used by: registry.transactions.begin_transaction
INSERT INTO super_transaction (database_id, context, compacts)
SELECT database_id, %(context)s::jsonb, %(compacts)s::boolean FROM catalog_database WHERE name = %(database)s::text
RETURNING transaction_id;
