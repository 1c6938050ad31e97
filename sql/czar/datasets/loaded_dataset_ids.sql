-- sql/czar/datasets/loaded_dataset_ids.sql
-- Which of some datasets a table has the rows of.
-- Parameters: database, "table" (text), dataset_ids (uuid[]).   Returns: dataset_id.
-- Used by: registry.datasets.loaded_ids
SELECT s.dataset_id
  FROM dataset s
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
 WHERE d.name = %(database)s::text AND t.name = %(table)s::text AND s.dataset_id = ANY (%(dataset_ids)s::uuid[]);
