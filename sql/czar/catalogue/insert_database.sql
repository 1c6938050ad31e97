-- sql/czar/catalogue/insert_database.sql
-- Add a database that is not published yet.
-- Parameters: family_id (integer), name, physical, description, felis (text).
-- Returns: database_id, or no row when the name is taken (whatever its case).   Used by: registry.databases.add_database
INSERT INTO catalog_database (family_id, name, physical, description, felis)
SELECT %(family_id)s::integer, %(name)s::text, %(physical)s::text, %(description)s::text, %(felis)s::text
 WHERE NOT EXISTS (SELECT FROM catalog_database
                    WHERE lower(name) = lower(%(name)s::text) OR physical = %(physical)s::text)
RETURNING database_id;
