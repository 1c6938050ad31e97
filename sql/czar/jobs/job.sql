-- sql/czar/jobs/job.sql
-- One job and its place in the queue, from 1; the queue is fair, so the place is that by age.
-- Parameters: job_id (text).   Returns: one row or none.
-- Used by: registry.jobs.find_job
SELECT j.job_id, j.owner, j.phase, j.run_id, j.parameters, j.execution_s, j.created_at, j.started_at, j.ended_at,
       j.destruction_at, j.chunks_done, j.chunks, j.rows, j.result_file, j.result_type, j.result_bytes, j.overflow,
       j.error_code, j.error_message, j.identity,
       CASE WHEN j.phase = 'QUEUED'
            THEN (SELECT count(*) FROM tap_job q WHERE q.phase = 'QUEUED' AND q.queued_at <= j.queued_at) END
  FROM tap_job j
 WHERE j.job_id = %(job_id)s::text;
