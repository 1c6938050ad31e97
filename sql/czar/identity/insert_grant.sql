-- sql/czar/identity/insert_grant.sql
-- Let somebody read a database.
-- Parameters: database (text, exactly its name), kind, name (text; name is empty for public and authenticated).
-- Returns: one row, or none when the grant was there.   Used by: registry.databases.add_database, registry.grants
INSERT INTO database_grant (database_id, kind, name)
SELECT database_id, %(kind)s::text, %(name)s::text
  FROM catalog_database
 WHERE catalog_database.name = %(database)s::text
    ON CONFLICT DO NOTHING
RETURNING database_id;
