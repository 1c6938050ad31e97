-- sql/czar/jobs/complete_job.sql
-- End a job with a result.
-- Parameters: job_id, runner, result_file, result_type (text), result_bytes, rows (bigint), overflow (boolean).   Returns: one row if the job was EXECUTING by this runner.
-- Used by: registry.jobs.complete_job
UPDATE tap_job
   SET phase = 'COMPLETED', ended_at = clock_timestamp(), runner = NULL, chunks_done = chunks,
       result_file = %(result_file)s::text, result_type = %(result_type)s::text,
       result_bytes = %(result_bytes)s::bigint, rows = %(rows)s::bigint, overflow = %(overflow)s::boolean
 WHERE job_id = %(job_id)s::text AND phase = 'EXECUTING' AND runner = %(runner)s::text
RETURNING job_id;
