-- sql/migrations/schema.sql
-- The registry as all migrations together leave it, to be read; a test holds the two against each other.
-- Parameters: none.   Returns: nothing.   Used by: people, tests
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE worker (
    worker_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    conninfo text NOT NULL,
    parts_dir text NOT NULL
);
COMMENT ON TABLE worker IS 'Shards; conninfo never holds a password.';

CREATE TABLE family (
    family_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    target_rows bigint CHECK (target_rows > 0),
    min_order smallint NOT NULL CHECK (min_order BETWEEN 0 AND 29),
    max_order smallint NOT NULL CHECK (max_order BETWEEN min_order AND 29),
    overlap_arcsec double precision NOT NULL CHECK (overlap_arcsec >= 0),
    version bigint NOT NULL DEFAULT 1,
    target_bytes bigint CHECK (target_bytes > 0),
    CONSTRAINT family_target CHECK (num_nonnulls(target_rows, target_bytes) = 1)
);
COMMENT ON COLUMN family.target_rows IS 'Rows of a director that a chunk aims at; NULL where it aims at bytes.';
COMMENT ON COLUMN family.target_bytes IS 'Bytes of the rows of all tables that a chunk aims at; NULL where it aims at rows.';
COMMENT ON COLUMN family.version IS 'Grows with every change of the chunk map and of placements.';
COMMENT ON TABLE family IS 'Databases of one family share its chunk map and overlap.';

CREATE TABLE catalog_database (
    database_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    family_id integer NOT NULL REFERENCES family,
    name text NOT NULL UNIQUE,
    physical text NOT NULL UNIQUE,
    state text NOT NULL DEFAULT 'loading' CHECK (state IN ('loading', 'published')),
    snapshot_number integer,
    description text NOT NULL,
    felis text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    version bigint NOT NULL DEFAULT 1
);
COMMENT ON COLUMN catalog_database.version IS 'Grows with every change of its tables and snapshots; not with grants.';
COMMENT ON COLUMN catalog_database.snapshot_number IS 'What queries see now; NULL before the first publishing.';

CREATE TABLE catalog_table (
    table_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    place integer NOT NULL,
    name text NOT NULL,
    physical text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('director', 'child', 'match', 'ref')),
    roles jsonb NOT NULL,
    primary_key text[] NOT NULL,
    indexes jsonb NOT NULL,
    description text NOT NULL,
    utype text NOT NULL DEFAULT '',
    UNIQUE (database_id, name),
    UNIQUE (database_id, physical)
);
COMMENT ON COLUMN catalog_table.roles IS 'What the partition file says of the table: key columns, directors, positions.';

CREATE TABLE catalog_column (
    table_id integer NOT NULL REFERENCES catalog_table ON DELETE CASCADE,
    place integer NOT NULL,
    name text NOT NULL,
    physical text NOT NULL,
    datatype text NOT NULL,
    length integer,
    nullable boolean NOT NULL,
    hidden boolean NOT NULL,
    unit text NOT NULL,
    ucd text NOT NULL,
    xtype text NOT NULL,
    description text NOT NULL,
    utype text NOT NULL DEFAULT '',
    PRIMARY KEY (table_id, place),
    UNIQUE (table_id, name),
    UNIQUE (table_id, physical)
);

CREATE TABLE chunk (
    chunk_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    family_id integer NOT NULL REFERENCES family,
    healpix_order smallint NOT NULL CHECK (healpix_order BETWEEN 0 AND 29),
    pixel bigint NOT NULL CHECK (pixel >= 0 AND pixel < 12::bigint << (2 * healpix_order)),
    first bigint NOT NULL GENERATED ALWAYS AS (pixel << (2 * (29 - healpix_order))) STORED,
    UNIQUE (family_id, first)
);
COMMENT ON TABLE chunk IS 'HEALPix cells, NESTED; those of one family never overlap, which committing checks.';

CREATE TABLE placement (
    chunk_id bigint NOT NULL REFERENCES chunk ON DELETE CASCADE,
    worker_id integer NOT NULL REFERENCES worker,
    PRIMARY KEY (chunk_id, worker_id)
);
CREATE INDEX placement_worker ON placement (worker_id);

CREATE TABLE super_transaction (
    transaction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'COMMITTED', 'LOADED', 'ABORTED')),
    context jsonb NOT NULL,
    reason text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    compacts boolean NOT NULL DEFAULT false,
    seen pg_snapshot NOT NULL DEFAULT pg_current_snapshot()
);
COMMENT ON COLUMN super_transaction.seen IS 'Which changes of the registry it saw when it was opened.';
COMMENT ON COLUMN super_transaction.compacts IS 'Whether its parts hold rows again that replaced parts hold; it adds no rows.';
CREATE INDEX super_transaction_unfinished ON super_transaction (database_id)
 WHERE state IN ('OPEN', 'COMMITTED');

CREATE TABLE contribution (
    contribution_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id bigint NOT NULL REFERENCES super_transaction ON DELETE CASCADE,
    table_id integer NOT NULL REFERENCES catalog_table ON DELETE CASCADE,
    source text NOT NULL,
    format text NOT NULL,
    bytes bigint NOT NULL,
    rows_read bigint NOT NULL,
    rows_loaded bigint NOT NULL,
    rows_rejected bigint NOT NULL,
    reject_file text,
    error text,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    sha256 text CHECK (sha256 ~ '^[0-9a-f]{64}$')
);
COMMENT ON COLUMN contribution.sha256 IS
    'Of the file''s content; NULL where the table''s keys tell rows that it has already, or nothing tells the content.';
CREATE INDEX contribution_transaction ON contribution (transaction_id);
CREATE INDEX contribution_content ON contribution (table_id, sha256) WHERE sha256 IS NOT NULL;

CREATE TABLE snapshot (
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    number integer NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    xid xid8 DEFAULT pg_current_xact_id(),
    PRIMARY KEY (database_id, number)
);
COMMENT ON COLUMN snapshot.xid IS 'The change of the registry that published it.';

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

CREATE TABLE part (
    part_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_id integer NOT NULL REFERENCES catalog_table ON DELETE CASCADE,
    transaction_id bigint NOT NULL REFERENCES super_transaction ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('chunk', 'overlap', 'ref', 'index')),
    chunk_id bigint REFERENCES chunk,
    worker_id integer REFERENCES worker,
    path text NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    snapshot integer,
    farthest_pair_deg double precision CHECK (farthest_pair_deg >= 0),
    segment_id bigint REFERENCES segment ON DELETE CASCADE,
    retired integer,
    CHECK ((chunk_id IS NOT NULL AND worker_id IS NOT NULL) = (role IN ('chunk', 'overlap'))),
    UNIQUE NULLS NOT DISTINCT (worker_id, path)
);
COMMENT ON COLUMN part.worker_id IS 'NULL: every worker holds the file (ref), or the czar (index).';
COMMENT ON COLUMN part.snapshot IS 'First snapshot of the database that holds it; NULL until published.';
COMMENT ON COLUMN part.farthest_pair_deg IS
    'Of a match table: no pair is further apart, degrees; NULL when it was not measured.';
CREATE INDEX part_table_chunk ON part (table_id, chunk_id);
CREATE INDEX part_transaction ON part (transaction_id);
CREATE INDEX part_chunk ON part (chunk_id);
COMMENT ON COLUMN part.segment_id IS 'The relation that holds its rows; NULL for an index.';
COMMENT ON COLUMN part.retired IS 'First snapshot of the database that holds it no more; NULL as long as it counts.';
CREATE INDEX part_segment ON part (segment_id);

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

CREATE TABLE catalog_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL
);
COMMENT ON TABLE catalog_version IS 'Grows with every change that queries can see.';
INSERT INTO catalog_version (version) VALUES (1);

CREATE TABLE database_grant (
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('public', 'authenticated', 'group', 'user')),
    name text NOT NULL CHECK ((name <> '') = (kind IN ('group', 'user'))),
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (database_id, kind, name)
);
COMMENT ON TABLE database_grant IS 'Who may read a database; no row: only the operator.';

CREATE TABLE access_token (
    token_id text PRIMARY KEY CHECK (token_id ~ '^[0-9a-f]{12}$'),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    user_name text NOT NULL CHECK (user_name <> ''),
    groups text[] NOT NULL,
    note text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    used_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON COLUMN access_token.token_id IS 'The part of the token that is no secret: it finds the row.';
COMMENT ON COLUMN access_token.sha256 IS 'Of the whole token, which has 256 random bits: no slow hash is needed.';
COMMENT ON COLUMN access_token.used_at IS 'Last use, to about a minute.';

CREATE TABLE user_table (
    user_table_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL CHECK (owner <> ''),
    name text NOT NULL CHECK (name <> ''),
    file text NOT NULL UNIQUE,
    rows bigint NOT NULL CHECK (rows >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    columns jsonb NOT NULL,
    description text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX user_table_name ON user_table (owner, lower(name));
COMMENT ON COLUMN user_table.file IS 'Below the czar''s directory; a file that no row names is swept.';

CREATE TABLE user_table_share (
    user_table_id bigint NOT NULL REFERENCES user_table ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('group', 'user')),
    name text NOT NULL CHECK (name <> ''),
    PRIMARY KEY (kind, name, user_table_id)
);
CREATE INDEX user_table_share_table ON user_table_share (user_table_id);

CREATE TABLE tap_job (
    job_id text PRIMARY KEY,
    owner text NOT NULL,
    requester text NOT NULL,
    identity jsonb NOT NULL,
    most_running integer NOT NULL CHECK (most_running > 0),
    phase text NOT NULL DEFAULT 'PENDING'
     CHECK (phase IN ('PENDING', 'QUEUED', 'EXECUTING', 'COMPLETED', 'ERROR', 'ABORTED')),
    run_id text NOT NULL DEFAULT '',
    parameters jsonb NOT NULL,
    execution_s integer NOT NULL CHECK (execution_s > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    queued_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    destruction_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    runner text,
    chunks_done integer NOT NULL DEFAULT 0,
    chunks integer NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    result_file text,
    result_type text,
    result_bytes bigint,
    overflow boolean NOT NULL DEFAULT false,
    error_code text,
    error_message text,
    CHECK ((phase = 'COMPLETED') = (result_file IS NOT NULL)),
    CHECK ((phase = 'ERROR') = (error_message IS NOT NULL)),
    CHECK ((phase = 'EXECUTING') = (runner IS NOT NULL))
);
COMMENT ON TABLE tap_job IS 'Queries that run in the background; their results are files of the czar.';
COMMENT ON COLUMN tap_job.requester IS 'Whose turn in the queue a job takes: its owner, or the address of one without a name.';
COMMENT ON COLUMN tap_job.identity IS 'User, groups and proof of the owner, as of when the job was told to run: it reads what they may read.';
COMMENT ON COLUMN tap_job.most_running IS 'Jobs of the requester that may run at a time.';
COMMENT ON COLUMN tap_job.parameters IS 'What was posted, by upper-case name; UPLOAD is a list.';
COMMENT ON COLUMN tap_job.runner IS 'Process that runs the job; it holds an advisory lock of this name while it lives.';
COMMENT ON COLUMN tap_job.result_file IS 'Relative to the directory of results.';
CREATE INDEX tap_job_queue ON tap_job (requester, queued_at) WHERE phase = 'QUEUED';
CREATE INDEX tap_job_served ON tap_job (requester, started_at);
CREATE INDEX tap_job_running ON tap_job (runner) WHERE phase = 'EXECUTING';
CREATE INDEX tap_job_requester ON tap_job (requester, created_at);
CREATE INDEX tap_job_destruction ON tap_job (destruction_at);

CREATE TABLE dataset (
    dataset_number bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    table_id integer NOT NULL REFERENCES catalog_table ON DELETE CASCADE,
    transaction_id bigint NOT NULL REFERENCES super_transaction ON DELETE CASCADE,
    dataset_id uuid NOT NULL,
    dataset_type text NOT NULL,
    run text NOT NULL,
    data_id jsonb NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 0),
    loaded_at timestamptz NOT NULL DEFAULT now(),
    snapshot integer,
    UNIQUE (table_id, dataset_id)
);
COMMENT ON TABLE dataset IS 'Butler datasets whose rows a table has; written by the commit of their super-transaction.';
COMMENT ON COLUMN dataset.dataset_number IS 'What the rows carry; numbers of ingests that failed are left out.';
COMMENT ON COLUMN dataset.snapshot IS 'First snapshot of the database that has the rows; NULL until published.';
CREATE INDEX dataset_data_id ON dataset (table_id, dataset_type, data_id);
CREATE INDEX dataset_transaction ON dataset (transaction_id);

CREATE TABLE image (
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    dataset_id uuid NOT NULL,
    dataset_type text NOT NULL,
    run text NOT NULL,
    repository text NOT NULL,
    instrument text NOT NULL,
    visit bigint NOT NULL,
    detector integer,
    visit_name text NOT NULL,
    physical_filter text NOT NULL,
    band text NOT NULL,
    target text,
    exposure_s double precision,
    begin_mjd double precision,
    end_mjd double precision,
    ra double precision,
    "dec" double precision,
    field_deg double precision,
    region double precision[],
    snapshot integer,
    PRIMARY KEY (database_id, dataset_id)
);
COMMENT ON TABLE image IS 'Images that the rows of a database were measured on; the rows of ivoa.ObsCore.';
COMMENT ON COLUMN image.repository IS 'Where the Butler is; services that hand out pixels look there.';
COMMENT ON COLUMN image.snapshot IS 'First snapshot of the database that has it; NULL until published.';

CREATE INDEX part_unpublished ON part (table_id) WHERE snapshot IS NULL;

CREATE TABLE table_snapshot (
    table_id integer PRIMARY KEY REFERENCES catalog_table ON DELETE CASCADE,
    orders bytea NOT NULL,
    pixels bytea NOT NULL,
    rows bytea NOT NULL,
    generations bytea NOT NULL,
    has_overlap bytea NOT NULL,
    total_rows bigint NOT NULL,
    total_bytes bigint NOT NULL,
    farthest_pair_deg double precision,
    index_runs text[] NOT NULL,
    ref_generations integer[] NOT NULL DEFAULT '{}',
    chunks integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE table_snapshot IS
    'What queries see of a table: segment and part as of the last publishing, in the form in which sessions read it.';
COMMENT ON COLUMN table_snapshot.orders IS
    'One value a segment, in the order of the sky and of generations, big-endian: orders int16, pixels and rows int64, '
    'generations int32, has_overlap one byte.';
ALTER TABLE table_snapshot
    ALTER COLUMN orders SET STORAGE EXTERNAL,
    ALTER COLUMN pixels SET STORAGE EXTERNAL,
    ALTER COLUMN rows SET STORAGE EXTERNAL,
    ALTER COLUMN generations SET STORAGE EXTERNAL,
    ALTER COLUMN has_overlap SET STORAGE EXTERNAL;

CREATE TABLE worker_rows (
    worker_id integer NOT NULL REFERENCES worker,
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    rows bigint NOT NULL,
    parts bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (worker_id, database_id)
);
COMMENT ON TABLE worker_rows IS 'Counts of the committed parts of a worker; new chunks go to the worker with the fewest bytes of their family.';
COMMENT ON COLUMN worker_rows.rows IS 'Of chunk parts.';
COMMENT ON COLUMN worker_rows.bytes IS 'Of chunk and overlap parts.';

CREATE TABLE shard_snapshot (
    worker_id integer NOT NULL REFERENCES worker,
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    number integer NOT NULL,
    PRIMARY KEY (worker_id, database_id)
);
COMMENT ON TABLE shard_snapshot IS
    'The last snapshot that a shard''s parents and views have followed; no row: none, so all of it is to be looked at.';

CREATE UNLOGGED TABLE query (
    query_id text NOT NULL,
    czar text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('SYNC', 'JOB', 'LOCAL')),
    priority integer NOT NULL,
    phase text NOT NULL CHECK (phase IN ('WAITING', 'RUNNING')),
    owner text NOT NULL,
    identity jsonb NOT NULL,
    text text NOT NULL,
    started_at timestamptz NOT NULL,
    snapshots jsonb NOT NULL,
    lost_at timestamptz,
    PRIMARY KEY (czar, query_id)
);
COMMENT ON TABLE query IS 'Queries that have run for longer than a moment; unlogged, as none outlives a crash of this server.';
COMMENT ON COLUMN query.czar IS 'Process that runs the query; it holds an advisory lock of this name while it lives.';
COMMENT ON COLUMN query.snapshots IS 'Numbers of the snapshots that the query reads, by the database''s name.';
COMMENT ON COLUMN query.lost_at IS 'When it was first seen that nobody holds the lock of its process; NULL while somebody does.';

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
