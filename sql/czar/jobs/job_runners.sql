-- sql/czar/jobs/job_runners.sql
-- The processes that are said to run jobs.
-- Parameters: none.   Returns: their names.
-- Used by: registry.jobs.recover_jobs
SELECT DISTINCT runner FROM tap_job WHERE phase = 'EXECUTING';
