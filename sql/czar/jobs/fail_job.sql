-- sql/czar/jobs/fail_job.sql
-- End a job with an error.
-- Parameters: job_id, runner, code, message (text).   Returns: one row if the job was EXECUTING by this runner.
-- Used by: registry.jobs.fail_job
UPDATE tap_job
   SET phase = 'ERROR', ended_at = clock_timestamp(), runner = NULL, error_code = %(code)s::text,
       error_message = %(message)s::text
 WHERE job_id = %(job_id)s::text AND phase = 'EXECUTING' AND runner = %(runner)s::text
RETURNING job_id;
