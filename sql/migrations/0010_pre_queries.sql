-- sql/migrations/0010_pre_queries.sql
-- The queries that run, in any process of the cluster.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
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
    PRIMARY KEY (czar, query_id)
);
COMMENT ON TABLE query IS 'Queries that have run for longer than a moment; unlogged, as none outlives a crash of this server.';
COMMENT ON COLUMN query.czar IS 'Process that runs the query; it holds an advisory lock of this name while it lives.';
COMMENT ON COLUMN query.snapshots IS 'Numbers of the snapshots that the query reads, by the database''s name.';
