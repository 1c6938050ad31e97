-- sql/czar/jobs/count_jobs.sql
-- How many jobs of a requester have not ended.
-- Parameters: requester (text).   Returns: one row, the number.
-- Used by: registry.jobs.unfinished_jobs
SELECT count(*) FROM tap_job WHERE requester = %(requester)s::text AND phase IN ('PENDING', 'QUEUED', 'EXECUTING');
