-- sql/czar/catalogue/tables.sql
-- Tables of some databases, or of all when databases is NULL.
-- Parameters: databases (text[]).   Returns: one row each, in the schema's order.   Used by: registry.catalog_reader
SELECT t.database_id, t.table_id, t.name, t.physical, t.kind, t.roles, t.primary_key, t.indexes, t.description, t.utype
  FROM catalog_table t
  JOIN catalog_database d USING (database_id)
 WHERE %(databases)s::text[] IS NULL OR d.name = ANY (%(databases)s::text[])
 ORDER BY t.database_id, t.place;
