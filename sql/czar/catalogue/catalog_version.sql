-- sql/czar/catalogue/catalog_version.sql
-- The number of the last change that queries can see.
-- Parameters: none.   Returns: one row.   Used by: registry.connection (before every query)
SELECT version FROM catalog_version;
