-- sql/czar/snapshots/table_counts.sql
-- What is published of the tables of a database, by the counts that are kept when it is published.
-- Parameters: database (text).   Returns: name, rows, bytes, chunks.   Used by: registry.listing
SELECT t.name, s.total_rows, s.total_bytes, s.chunks
  FROM catalog_database d
  JOIN catalog_table t USING (database_id)
  JOIN table_snapshot s USING (table_id)
 WHERE d.name = %(database)s::text
 ORDER BY t.place;
