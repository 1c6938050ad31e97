-- sql/czar/snapshots/table_snapshots.sql
-- What queries see of the tables of a database, as long as it has a version; tables of which nothing is published have
-- no values.
-- Parameters: database_id (integer), version (bigint).   Returns: one row a table: name, then as in table_snapshot; no
-- row when the database is gone or has another version.   Used by: registry.snapshot_reader
SELECT t.name, s.orders, s.pixels, s.rows, s.generations, s.has_overlap, s.ref_generations, s.total_rows, s.total_bytes,
       s.farthest_pair_deg, s.index_runs
  FROM catalog_database d
  JOIN catalog_table t USING (database_id)
  LEFT JOIN table_snapshot s USING (table_id)
 WHERE d.database_id = %(database_id)s::integer AND d.version = %(version)s::bigint
 ORDER BY t.place;
