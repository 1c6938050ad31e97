-- sql/migrations/0014_chunk_bytes.sql
-- Let the chunks of a family aim at bytes of all its tables; families that are there keep the rows that they aim at.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
ALTER TABLE family
    ALTER COLUMN target_rows DROP NOT NULL,
    ADD COLUMN target_bytes bigint CHECK (target_bytes > 0),
    ADD CONSTRAINT family_target CHECK (num_nonnulls(target_rows, target_bytes) = 1);
COMMENT ON COLUMN family.target_rows IS 'Rows of a director that a chunk aims at; NULL where it aims at bytes.';
COMMENT ON COLUMN family.target_bytes IS 'Bytes of the rows of all tables that a chunk aims at; NULL where it aims at rows.';
COMMENT ON TABLE worker_rows IS 'Counts of the committed parts of a worker; new chunks go to the worker with the fewest bytes of their family.';
