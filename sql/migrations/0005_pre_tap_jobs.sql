-- sql/migrations/0005_pre_tap_jobs.sql
-- Jobs of the TAP service: what was asked, how far it is, where its result lies.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
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
