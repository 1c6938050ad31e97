-- sql/czar/jobs/change_job_times.sql
-- Change how long a job may run and when it is destroyed.
-- Parameters: job_id (text), execution_s (integer, NULL leaves it), destruction_at (timestamptz, NULL leaves it),
--   keep_s (integer: the longest it may be kept from now).   Returns: one row, or none when there is no such job.
-- Used by: registry.jobs.change_times
UPDATE tap_job
   SET execution_s = coalesce(%(execution_s)s::integer, execution_s),
       destruction_at = CASE WHEN %(destruction_at)s::timestamptz IS NULL THEN destruction_at
                             ELSE least(%(destruction_at)s::timestamptz,
                                        now() + make_interval(secs => %(keep_s)s::integer)) END
 WHERE job_id = %(job_id)s::text
RETURNING job_id;
