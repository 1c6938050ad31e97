-- sql/czar/insert_job.sql
-- Write down a new job, PENDING.
-- Parameters: job_id, owner, requester, run_id (text), parameters (jsonb), execution_s (integer), keep_s (integer).   Returns: nothing.
-- Used by: registry.jobs.add_job
INSERT INTO tap_job (job_id, owner, requester, run_id, parameters, execution_s, destruction_at)
VALUES (%(job_id)s::text, %(owner)s::text, %(requester)s::text, %(run_id)s::text, %(parameters)s::jsonb,
        %(execution_s)s::integer, now() + make_interval(secs => %(keep_s)s::integer));
