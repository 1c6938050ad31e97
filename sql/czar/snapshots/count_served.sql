-- sql/czar/snapshots/count_served.sql
-- How many chunk tables and ref tables of a database are served.
-- Parameters: database (text).   Returns: one row.   Used by: registry.snapshots.count_served
SELECT coalesce(sum(s.chunks + least(cardinality(s.ref_generations), 1)), 0)::bigint
  FROM table_snapshot s
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
 WHERE d.name = %(database)s::text;
