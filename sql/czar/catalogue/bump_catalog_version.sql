-- sql/czar/catalogue/bump_catalog_version.sql
-- Say that something has changed that queries can see and that has no version of its own (grants, workers, which
-- databases there are), in the PostgreSQL transaction of the change.
-- Parameters: none.   Returns: nothing.   Used by: registry.databases, registry.grants
UPDATE catalog_version SET version = version + 1;
