-- sql/czar/catalogue/catalog_version.sql
-- The number of the last change that queries can see, and of the last migration of the registry.
-- Parameters: none.   Returns: one row.   Used by: registry.connection (before every query), registry.catalog_reader
SELECT version, (SELECT max(number) FROM schema_migration) FROM catalog_version;
