-- sql/czar/catalogue/columns.sql
-- Columns of the tables of some databases, or of all when databases is NULL.
-- Parameters: databases (text[]).   Returns: one row each, in the schema's order.   Used by: registry.catalog_reader
SELECT c.table_id, c.name, c.physical, c.datatype, c.length, c.nullable, c.hidden, c.unit, c.ucd, c.xtype,
       c.description, c.utype
  FROM catalog_column c
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
 WHERE %(databases)s::text[] IS NULL OR d.name = ANY (%(databases)s::text[])
 ORDER BY c.table_id, c.place;
