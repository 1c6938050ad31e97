-- sql/czar/jobs/known_jobs.sql
-- Which of some jobs there are.
-- Parameters: job_ids (text[]).   Returns: the ids that are known.
-- Used by: registry.jobs.known_jobs
SELECT job_id FROM tap_job WHERE job_id = ANY (%(job_ids)s::text[]);
