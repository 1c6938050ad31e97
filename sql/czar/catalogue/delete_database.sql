-- sql/czar/catalogue/delete_database.sql
-- Forget a database with its tables, transactions and parts; the chunk map of its family stays.
-- Parameters: name (text).   Returns: database_id, or no row when there is none.
-- Used by: registry.databases.drop_database
DELETE FROM catalog_database WHERE name = %(name)s::text
RETURNING database_id;
