-- sql/czar/catalogue/insert_table.sql
-- Add a table to a database.
-- Parameters: database_id, place (integer), name, physical, kind (text), roles (jsonb), primary_key (text[]),
-- indexes (jsonb), description, utype (text).   Returns: table_id.   Used by: registry.databases.add_database
INSERT INTO catalog_table (database_id, place, name, physical, kind, roles, primary_key, indexes, description,
                           utype)
VALUES (%(database_id)s::integer, %(place)s::integer, %(name)s::text, %(physical)s::text, %(kind)s::text,
        %(roles)s::jsonb, %(primary_key)s::text[], %(indexes)s::jsonb, %(description)s::text, %(utype)s::text)
RETURNING table_id;
