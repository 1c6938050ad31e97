-- sql/czar/jobs/release_jobs.sql
-- Let the jobs of a process wait again: at their place if it stops, behind the others if it died. A job that several
-- processes died of ends in ERROR.
-- Parameters: runner, code, message (text), attempts (integer: starts after which a job ends; NULL for never).   Returns: the ids of the jobs.
-- Used by: registry.jobs.recover_jobs, registry.jobs.release_jobs
UPDATE tap_job
   SET phase = CASE WHEN attempts >= %(attempts)s::integer THEN 'ERROR' ELSE 'QUEUED' END,
       ended_at = CASE WHEN attempts >= %(attempts)s::integer THEN now() END,
       error_code = CASE WHEN attempts >= %(attempts)s::integer THEN %(code)s::text END,
       error_message = CASE WHEN attempts >= %(attempts)s::integer THEN %(message)s::text END,
       attempts = CASE WHEN %(attempts)s::integer IS NULL THEN attempts - 1 ELSE attempts END,
       started_at = CASE WHEN attempts >= %(attempts)s::integer THEN started_at END,
       queued_at = CASE WHEN %(attempts)s::integer IS NULL THEN queued_at ELSE clock_timestamp() END,
       runner = NULL
 WHERE phase = 'EXECUTING' AND runner = %(runner)s::text
RETURNING job_id;
