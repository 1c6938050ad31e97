-- sql/czar/datasets/datasets_at.sql
-- The datasets of a type, under any of its names, and of some data ids that a table has the rows of; several of a data
-- id, the latest last.
-- Parameters: database, "table" (text), dataset_types (text[]), data_ids (jsonb, a list).
-- Returns: data_id, dataset_id, run.   Used by: registry.datasets.datasets_at
SELECT s.data_id, s.dataset_id, s.run
  FROM dataset s
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
 WHERE d.name = %(database)s::text AND t.name = %(table)s::text AND s.dataset_type = ANY (%(dataset_types)s::text[])
   AND s.data_id IN (SELECT jsonb_array_elements(%(data_ids)s::jsonb))
 ORDER BY s.dataset_number;
