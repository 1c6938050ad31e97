-- sql/czar/jobs/insert_job.sql
-- Write down a new job, PENDING.
-- Parameters: job_id, owner, requester, run_id (text), identity, parameters (jsonb), most_running, execution_s,
--   keep_s (integer).   Returns: nothing.
-- Used by: registry.jobs.add_job
INSERT INTO tap_job (job_id, owner, requester, identity, most_running, run_id, parameters, execution_s, destruction_at)
VALUES (%(job_id)s::text, %(owner)s::text, %(requester)s::text, %(identity)s::jsonb, %(most_running)s::integer,
        %(run_id)s::text, %(parameters)s::jsonb, %(execution_s)s::integer, now() + make_interval(secs => %(keep_s)s::integer));
