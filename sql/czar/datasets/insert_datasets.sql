-- sql/czar/datasets/insert_datasets.sql
-- Write down the datasets that a super-transaction brings; those of a table that is not known add nothing.
-- Parameters: transaction_id (bigint); arrays of one element a dataset: numbers (bigint), tables (text), dataset_ids
-- (uuid), dataset_types, runs (text), data_ids (text of JSON), rows (bigint).
-- Returns: nothing; fails when a table has one of the datasets.   Used by: registry.datasets.add_datasets
INSERT INTO dataset (dataset_number, table_id, transaction_id, dataset_id, dataset_type, run, data_id, rows)
SELECT u.number, t.table_id, x.transaction_id, u.dataset_id, u.dataset_type, u.run, u.data_id::jsonb, u.rows
  FROM unnest(%(numbers)s::bigint[], %(tables)s::text[], %(dataset_ids)s::uuid[], %(dataset_types)s::text[],
              %(runs)s::text[], %(data_ids)s::text[], %(rows)s::bigint[])
       AS u (number, table_name, dataset_id, dataset_type, run, data_id, rows)
  JOIN super_transaction x ON x.transaction_id = %(transaction_id)s::bigint
  JOIN catalog_table t ON t.database_id = x.database_id AND t.name = u.table_name;
