-- sql/migrations/0011_worker_counts.sql
-- Count the parts of each worker as they are committed, so that a list of the workers need not read them all.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
ALTER TABLE worker_rows
    ADD COLUMN parts bigint NOT NULL DEFAULT 0,
    ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
COMMENT ON TABLE worker_rows IS 'Counts of the committed parts of a worker; new chunks go to the worker with the fewest rows.';
COMMENT ON COLUMN worker_rows.rows IS 'Of chunk parts.';
COMMENT ON COLUMN worker_rows.bytes IS 'Of chunk and overlap parts.';
INSERT INTO worker_rows (worker_id, database_id, rows, parts, bytes)
SELECT p.worker_id, t.database_id, 0, count(*), sum(p.bytes)::bigint
  FROM part p
  JOIN catalog_table t USING (table_id)
 WHERE p.worker_id IS NOT NULL
 GROUP BY p.worker_id, t.database_id
    ON CONFLICT (worker_id, database_id) DO UPDATE SET parts = excluded.parts, bytes = excluded.bytes;
