-- sql/czar/snapshots/count_served.sql
-- How many chunk tables and ref tables of a database are served.
-- Parameters: database (text).   Returns: one row.   Used by: registry.transactions.count_served
SELECT coalesce(sum(length(s.orders) / 2 + (s.ref_generation > 0)::integer), 0)::bigint
  FROM table_snapshot s
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
 WHERE d.name = %(database)s::text;
