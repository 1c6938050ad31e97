-- sql/czar/datasets/take_dataset_numbers.sql
-- Take numbers for datasets; nobody gets them again, whether or not they are used.
-- Parameters: count (integer).   Returns: one row a number.   Used by: registry.datasets.take_numbers
SELECT nextval(pg_get_serial_sequence('dataset', 'dataset_number')) FROM generate_series(1, %(count)s::integer);
