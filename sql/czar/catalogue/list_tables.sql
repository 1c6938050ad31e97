-- sql/czar/catalogue/list_tables.sql
-- Rows and parts of each table; of databases that match, or of all when database is NULL.
-- Parameters: database (text).   Returns: one row a table.   Used by: registry.listing
SELECT d.name, t.name, t.kind, d.state,
       coalesce(sum(p.rows) FILTER (WHERE p.snapshot IS NOT NULL AND p.role IN ('chunk', 'ref')), 0)::bigint,
       coalesce(sum(p.rows) FILTER (WHERE p.snapshot IS NULL AND p.role IN ('chunk', 'ref')), 0)::bigint,
       count(DISTINCT p.chunk_id) FILTER (WHERE p.role = 'chunk'),
       coalesce(sum(p.bytes), 0)::bigint
  FROM catalog_database d
  JOIN catalog_table t USING (database_id)
  LEFT JOIN part p USING (table_id)
 WHERE %(database)s::text IS NULL OR lower(d.name) = lower(%(database)s::text)
 GROUP BY d.name, d.state, t.table_id, t.name, t.kind, t.place
 ORDER BY d.name, t.place;
