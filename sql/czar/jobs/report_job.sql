-- sql/czar/jobs/report_job.sql
-- Write down how far a running job is.
-- Parameters: job_id, runner (text), chunks_done, chunks (integer), rows (bigint).   Returns: one row while the job is EXECUTING by this runner.
-- Used by: registry.jobs.report_job
UPDATE tap_job
   SET chunks_done = %(chunks_done)s::integer, chunks = %(chunks)s::integer, rows = %(rows)s::bigint
 WHERE job_id = %(job_id)s::text AND phase = 'EXECUTING' AND runner = %(runner)s::text
RETURNING job_id;
