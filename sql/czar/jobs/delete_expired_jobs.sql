-- sql/czar/jobs/delete_expired_jobs.sql
-- Forget the jobs whose time has come.
-- Parameters: none.   Returns: the ids of the jobs.
-- Used by: registry.jobs.delete_expired
DELETE FROM tap_job WHERE destruction_at <= now() RETURNING job_id;
