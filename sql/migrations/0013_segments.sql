-- sql/migrations/0013_segments.sql
-- A chunk's rows are a list of segments: appended rows get a relation of their own, and compaction makes one of several.
-- What was a generation that queries read becomes the first segment. A generation that waited to be published was to
-- hold all parts of its chunk; now only the parts that wait, in a new segment, which the next publishing loads.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
ALTER TABLE super_transaction
    ADD COLUMN compacts boolean NOT NULL DEFAULT false,
    ADD COLUMN seen pg_snapshot NOT NULL DEFAULT pg_current_snapshot();
COMMENT ON COLUMN super_transaction.seen IS 'Which changes of the registry it saw when it was opened.';
ALTER TABLE snapshot ADD COLUMN xid xid8;
ALTER TABLE snapshot ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
COMMENT ON COLUMN snapshot.xid IS 'The change of the registry that published it.';
COMMENT ON COLUMN super_transaction.compacts IS 'Whether its parts hold rows again that replaced parts hold; it adds no rows.';

CREATE TABLE segment (
    segment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_id integer NOT NULL REFERENCES catalog_table ON DELETE CASCADE,
    chunk_id bigint REFERENCES chunk,
    generation integer NOT NULL CHECK (generation > 0),
    transaction_id bigint REFERENCES super_transaction ON DELETE CASCADE,
    since integer,
    retired integer CHECK (retired > since),
    rows bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    has_overlap boolean NOT NULL DEFAULT false,
    UNIQUE NULLS NOT DISTINCT (table_id, chunk_id, generation)
);
COMMENT ON TABLE segment IS 'Relations of the row store that hold rows of one table and chunk; chunk_id NULL is a ref table.';
COMMENT ON COLUMN segment.generation IS 'Number that tells the relations of a table and chunk apart, by their names.';
COMMENT ON COLUMN segment.transaction_id IS 'Of a compaction: the one that makes it; NULL for appended rows of any number of them.';
COMMENT ON COLUMN segment.since IS 'First snapshot that has it; NULL until published.';
COMMENT ON COLUMN segment.retired IS 'First snapshot that has it no more; NULL as long as new queries read it.';
COMMENT ON COLUMN segment.rows IS 'Of its chunk (or ref) parts, without overlap; counted when it is published.';
COMMENT ON COLUMN segment.bytes IS 'Of its chunk (or ref) parts.';
COMMENT ON COLUMN segment.has_overlap IS 'Whether it has an overlap relation.';
CREATE INDEX segment_chunk ON segment (chunk_id);
CREATE INDEX segment_since ON segment (table_id, since);
CREATE INDEX segment_pending ON segment (table_id, chunk_id) WHERE since IS NULL;
CREATE INDEX segment_retired ON segment (table_id) WHERE retired IS NOT NULL;

ALTER TABLE part ADD COLUMN segment_id bigint REFERENCES segment ON DELETE CASCADE, ADD COLUMN retired integer;
COMMENT ON COLUMN part.segment_id IS 'The relation that holds its rows; NULL for an index.';
COMMENT ON COLUMN part.retired IS 'First snapshot of the database that holds it no more; NULL as long as it counts.';

CREATE TABLE replacement (
    transaction_id bigint NOT NULL REFERENCES super_transaction ON DELETE CASCADE,
    part_id bigint NOT NULL REFERENCES part ON DELETE CASCADE,
    PRIMARY KEY (transaction_id, part_id)
);
COMMENT ON TABLE replacement IS 'Parts whose rows the parts of a compaction hold; they retire when those are published.';
CREATE INDEX replacement_part ON replacement (part_id);

CREATE VIEW held_part AS
SELECT p.*
  FROM part p
 WHERE p.retired IS NULL
   AND (p.snapshot IS NOT NULL
        OR NOT EXISTS (SELECT FROM super_transaction x WHERE x.transaction_id = p.transaction_id AND x.compacts));
COMMENT ON VIEW held_part IS 'Parts that hold each committed row once: neither retired ones nor those of a compaction to come.';

INSERT INTO segment (table_id, chunk_id, generation, since, rows, bytes, has_overlap)
SELECT k.table_id, k.chunk_id, k.served, coalesce(k.served_since, d.snapshot_number), k.served_rows, k.served_bytes,
       k.served_overlap
  FROM chunk_table k
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
 WHERE k.served IS NOT NULL;
INSERT INTO segment (table_id, chunk_id, generation)
SELECT table_id, chunk_id, CASE WHEN served IS NULL THEN pending ELSE pending + 1 END
  FROM chunk_table
 WHERE pending IS NOT NULL;
UPDATE part p
   SET segment_id = s.segment_id
  FROM segment s
 WHERE s.table_id = p.table_id AND s.chunk_id = p.chunk_id AND (s.since IS NULL) = (p.snapshot IS NULL);
UPDATE part p
   SET segment_id = s.segment_id
  FROM segment s
 WHERE s.table_id = p.table_id AND s.chunk_id IS NULL AND p.role = 'ref' AND (s.since IS NULL) = (p.snapshot IS NULL);
CREATE INDEX part_segment ON part (segment_id);
DROP TABLE chunk_table;
ALTER TABLE table_snapshot
    ADD COLUMN ref_generations integer[] NOT NULL DEFAULT '{}',
    ADD COLUMN chunks integer NOT NULL DEFAULT 0;
UPDATE table_snapshot
   SET ref_generations = CASE WHEN ref_generation > 0 THEN ARRAY[ref_generation] ELSE '{}' END,
       chunks = octet_length(orders) / 2;
ALTER TABLE table_snapshot DROP COLUMN ref_generation;
COMMENT ON TABLE table_snapshot IS
    'What queries see of a table: segment and part as of the last publishing, in the form in which sessions read it.';
COMMENT ON COLUMN table_snapshot.orders IS
    'One value a segment, in the order of the sky and of generations, big-endian: orders int16, pixels and rows int64, '
    'generations int32, has_overlap one byte.';
DELETE FROM shard_snapshot;

CREATE UNLOGGED TABLE snapshot_reader (
    czar text NOT NULL,
    database_id integer NOT NULL,
    number integer NOT NULL,
    lost_at timestamptz,
    PRIMARY KEY (czar, database_id, number)
);
COMMENT ON TABLE snapshot_reader IS 'Processes that may read a snapshot: what it has and no later one has is not dropped.';
COMMENT ON COLUMN snapshot_reader.czar IS 'As in the table of queries: it holds an advisory lock of this name while it lives.';
COMMENT ON COLUMN snapshot_reader.lost_at IS 'When it was first seen that nobody holds the lock of its process; NULL while somebody does.';
