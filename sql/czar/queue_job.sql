-- sql/czar/queue_job.sql
-- Let a job wait for its turn.
-- Parameters: job_id (text).   Returns: one row if the job was PENDING.
-- Used by: registry.jobs.queue_job
UPDATE tap_job SET phase = 'QUEUED', queued_at = clock_timestamp()
 WHERE job_id = %(job_id)s::text AND phase = 'PENDING'
RETURNING job_id;
