-- sql/czar/snapshots/snapshot_refs.sql
-- What queries see of the ref tables.
-- Parameters: none.   Returns: table_id, generation, rows, bytes.   Used by: registry.catalog_reader
SELECT table_id, served, served_rows, served_bytes
  FROM chunk_table
 WHERE chunk_id IS NULL AND served IS NOT NULL;
