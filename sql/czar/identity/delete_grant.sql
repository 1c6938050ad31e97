-- sql/czar/identity/delete_grant.sql
-- Take a grant back.
-- Parameters: database (text, exactly its name), kind, name (text; name is empty for public and authenticated).
-- Returns: one row, or none when there was no such grant.   Used by: registry.grants
DELETE FROM database_grant g
 USING catalog_database d
 WHERE d.database_id = g.database_id AND d.name = %(database)s::text
   AND g.kind = %(kind)s::text AND g.name = %(name)s::text
RETURNING g.database_id;
