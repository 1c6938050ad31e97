-- sql/czar/jobs/change_job_parameters.sql
-- Change the parameters and the run id of a job that was not started.
-- Parameters: job_id, run_id (text, NULL leaves it), parameters (jsonb: those to set).   Returns: one row if the job is PENDING.
-- Used by: registry.jobs.change_parameters
UPDATE tap_job
   SET parameters = parameters || %(parameters)s::jsonb, run_id = coalesce(%(run_id)s::text, run_id)
 WHERE job_id = %(job_id)s::text AND phase = 'PENDING'
RETURNING job_id;
