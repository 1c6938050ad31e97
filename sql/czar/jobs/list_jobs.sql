-- sql/czar/jobs/list_jobs.sql
-- The jobs of a requester, newest first.
-- Parameters: requester (text), phases (text[], NULL for all), after (timestamptz or NULL), most (integer).   Returns: job_id, phase, run_id, created_at, owner.
-- Used by: registry.jobs.list_jobs
SELECT job_id, phase, run_id, created_at, owner
  FROM tap_job
 WHERE requester = %(requester)s::text
   AND (%(phases)s::text[] IS NULL OR phase = ANY (%(phases)s::text[]))
   AND (%(after)s::timestamptz IS NULL OR created_at > %(after)s::timestamptz)
 ORDER BY created_at DESC, job_id
 LIMIT %(most)s::integer;
