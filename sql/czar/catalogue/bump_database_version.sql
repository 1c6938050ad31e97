-- sql/czar/catalogue/bump_database_version.sql
-- Say that the tables or the snapshot of a database have changed, in the PostgreSQL transaction of the change.
-- Parameters: database_id (integer).   Returns: nothing.   Used by: registry.snapshots
WITH everything AS (UPDATE catalog_version SET version = version + 1 RETURNING version)
UPDATE catalog_database SET version = everything.version
  FROM everything
 WHERE database_id = %(database_id)s::integer;
