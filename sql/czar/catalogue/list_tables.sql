-- sql/czar/catalogue/list_tables.sql
-- What queries see of each table, by the counts that are kept when it is published, and what waits to be published; of
-- the database of a name, or of all when it is NULL. Only parts that wait are read one by one.
-- Parameters: database (text).   Returns: one row a table.   Used by: registry.listing
SELECT d.name, t.name, t.kind, d.state,
       coalesce(s.total_rows, 0),
       coalesce(w.rows, 0),
       coalesce(s.chunks, 0),
       coalesce(s.total_bytes, 0) + coalesce(w.bytes, 0)
  FROM catalog_database d
  JOIN catalog_table t USING (database_id)
  LEFT JOIN table_snapshot s USING (table_id)
  LEFT JOIN (SELECT table_id, sum(rows)::bigint AS rows, sum(bytes)::bigint AS bytes
               FROM held_part
              WHERE snapshot IS NULL AND role IN ('chunk', 'ref')
              GROUP BY table_id) w USING (table_id)
 WHERE %(database)s::text IS NULL OR lower(d.name) = lower(%(database)s::text)
 ORDER BY d.name, t.place;
