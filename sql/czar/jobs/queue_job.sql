-- sql/czar/jobs/queue_job.sql
-- Let a job wait for its turn, with what its owner has shown to be and may use now.
-- Parameters: job_id (text), identity (jsonb), most_running (integer).   Returns: one row if the job was PENDING.
-- Used by: registry.jobs.queue_job
UPDATE tap_job
   SET phase = 'QUEUED', queued_at = clock_timestamp(), identity = %(identity)s::jsonb,
       most_running = %(most_running)s::integer
 WHERE job_id = %(job_id)s::text AND phase = 'PENDING'
RETURNING job_id;
