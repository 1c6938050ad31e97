-- sql/migrations/0009_pre_catalog_pieces.sql
-- A version for each database and each family, and what queries see of a table as one row, its chunks as binary columns.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
ALTER TABLE family ADD COLUMN version bigint NOT NULL DEFAULT 1;
COMMENT ON COLUMN family.version IS 'Grows with every change of the chunk map and of placements.';
ALTER TABLE catalog_database ADD COLUMN version bigint NOT NULL DEFAULT 1;
COMMENT ON COLUMN catalog_database.version IS 'Grows with every change of its tables and snapshots; not with grants.';
ALTER TABLE chunk_table ADD COLUMN served_overlap boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN chunk_table.served_overlap IS 'Whether the served generation has an overlap table.';
UPDATE chunk_table ct SET served_overlap = true
  FROM (SELECT DISTINCT table_id, chunk_id FROM part WHERE role = 'overlap' AND snapshot IS NOT NULL) AS overlap
 WHERE ct.served IS NOT NULL AND (ct.table_id, ct.chunk_id) = (overlap.table_id, overlap.chunk_id);
ALTER TABLE chunk_table ADD COLUMN served_since integer;
COMMENT ON COLUMN chunk_table.served_since IS 'The snapshot whose publishing served this generation.';
UPDATE chunk_table SET served_since = 1 WHERE served IS NOT NULL;
CREATE INDEX chunk_table_since ON chunk_table (table_id, served_since);
CREATE INDEX chunk_table_pending ON chunk_table (table_id, chunk_id) WHERE pending IS NOT NULL;
CREATE INDEX part_unpublished ON part (table_id) WHERE snapshot IS NULL;

CREATE TABLE table_snapshot (
    table_id integer PRIMARY KEY REFERENCES catalog_table ON DELETE CASCADE,
    orders bytea NOT NULL,
    pixels bytea NOT NULL,
    rows bytea NOT NULL,
    generations bytea NOT NULL,
    has_overlap bytea NOT NULL,
    ref_generation integer NOT NULL,
    total_rows bigint NOT NULL,
    total_bytes bigint NOT NULL,
    farthest_pair_deg double precision,
    index_runs text[] NOT NULL
);
COMMENT ON TABLE table_snapshot IS
    'What queries see of a table: chunk_table and part as of the last publishing, in the form in which sessions read it.';
COMMENT ON COLUMN table_snapshot.orders IS
    'One value a chunk, in the order of the sky, big-endian: orders int16, pixels and rows int64, generations int32, '
    'has_overlap one byte.';
ALTER TABLE table_snapshot
    ALTER COLUMN orders SET STORAGE EXTERNAL,
    ALTER COLUMN pixels SET STORAGE EXTERNAL,
    ALTER COLUMN rows SET STORAGE EXTERNAL,
    ALTER COLUMN generations SET STORAGE EXTERNAL,
    ALTER COLUMN has_overlap SET STORAGE EXTERNAL;
INSERT INTO table_snapshot (table_id, orders, pixels, rows, generations, has_overlap, ref_generation, total_rows,
                            total_bytes, farthest_pair_deg, index_runs)
SELECT ct.table_id,
       coalesce(string_agg(int2send(c.healpix_order), '' ORDER BY c.first), ''),
       coalesce(string_agg(int8send(c.pixel), '' ORDER BY c.first), ''),
       coalesce(string_agg(int8send(ct.served_rows), '' ORDER BY c.first) FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(string_agg(int4send(ct.served), '' ORDER BY c.first) FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(string_agg(boolsend(ct.served_overlap), '' ORDER BY c.first) FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(max(ct.served) FILTER (WHERE ct.chunk_id IS NULL), 0),
       sum(ct.served_rows)::bigint,
       sum(ct.served_bytes)::bigint,
       (SELECT CASE WHEN count(p.farthest_pair_deg) = count(*) THEN max(p.farthest_pair_deg) END
          FROM part p
         WHERE p.table_id = ct.table_id AND t.kind = 'match' AND p.role = 'chunk' AND p.snapshot IS NOT NULL),
       (SELECT coalesce(array_agg(p.path ORDER BY p.part_id), '{}')
          FROM part p
         WHERE p.table_id = ct.table_id AND p.chunk_id IS NULL AND p.role = 'index' AND p.snapshot IS NOT NULL)
  FROM chunk_table ct
  JOIN catalog_table t USING (table_id)
  LEFT JOIN chunk c USING (chunk_id)
 WHERE ct.served IS NOT NULL
 GROUP BY ct.table_id, t.kind;

CREATE TABLE worker_rows (
    worker_id integer NOT NULL REFERENCES worker,
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    rows bigint NOT NULL,
    PRIMARY KEY (worker_id, database_id)
);
COMMENT ON TABLE worker_rows IS 'Rows of the committed chunk parts; new chunks go to the worker with the fewest.';
INSERT INTO worker_rows (worker_id, database_id, rows)
SELECT p.worker_id, t.database_id, sum(p.rows)::bigint
  FROM part p
  JOIN catalog_table t USING (table_id)
 WHERE p.role = 'chunk'
 GROUP BY p.worker_id, t.database_id;

CREATE TABLE shard_snapshot (
    worker_id integer NOT NULL REFERENCES worker,
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    number integer NOT NULL,
    PRIMARY KEY (worker_id, database_id)
);
COMMENT ON TABLE shard_snapshot IS
    'The last snapshot that a shard''s parents and views have followed; no row: none, so all of it is to be looked at.';
