-- sql/czar/jobs/delete_job.sql
-- Forget a job.
-- Parameters: job_id (text).   Returns: one row if there was one.
-- Used by: registry.jobs.delete_job
DELETE FROM tap_job WHERE job_id = %(job_id)s::text RETURNING job_id;
