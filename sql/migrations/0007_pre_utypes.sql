-- sql/migrations/0007_pre_utypes.sql
-- Roles of tables and columns in data models, as schemas say them; databases made before say none.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
ALTER TABLE catalog_table ADD COLUMN utype text NOT NULL DEFAULT '';
ALTER TABLE catalog_column ADD COLUMN utype text NOT NULL DEFAULT '';
