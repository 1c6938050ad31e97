-- sql/czar/jobs/abort_job.sql
-- End a job that has not ended.
-- Parameters: job_id (text).   Returns: one row if the job had not ended.
-- Used by: registry.jobs.abort_job
UPDATE tap_job SET phase = 'ABORTED', ended_at = clock_timestamp(), runner = NULL
 WHERE job_id = %(job_id)s::text AND phase IN ('PENDING', 'QUEUED', 'EXECUTING')
RETURNING job_id;
