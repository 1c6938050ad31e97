-- sql/czar/published_datasets.sql
-- The datasets whose rows queries see.
-- Parameters: none.   Returns: one row a dataset, by number.   Used by: registry.datasets.published_datasets
SELECT s.dataset_number, s.dataset_id, s.dataset_type, s.run, s.data_id, d.name, t.name, s.rows, s.loaded_at
  FROM dataset s
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
 WHERE s.snapshot IS NOT NULL
 ORDER BY s.dataset_number;
