-- sql/czar/datasets/dataset_rows.sql
-- The datasets whose rows the snapshots of some databases have.
-- Parameters: arrays of one element a database: databases (text), snapshots (integer).
-- Returns: one row a dataset, by number.   Used by: registry.datasets.dataset_rows
SELECT s.dataset_number, s.dataset_id::text, s.dataset_type, s.run, s.data_id::text, d.name, t.name, s.rows,
       s.loaded_at AT TIME ZONE 'UTC'
  FROM unnest(%(databases)s::text[], %(snapshots)s::integer[]) AS u (name, number)
  JOIN catalog_database d ON d.name = u.name
  JOIN catalog_table t USING (database_id)
  JOIN dataset s ON s.table_id = t.table_id AND s.snapshot <= u.number
 ORDER BY s.dataset_number;
