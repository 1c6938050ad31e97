-- sql/czar/jobs/claim_job.sql
-- Start the next job: of the requesters with the fewest running jobs, the one who was served longest ago, his
-- oldest. Of two who claim the same job the second gets no row.
-- Parameters: runner (text).   Returns: the job, or no row.
-- Used by: registry.jobs.claim_job
UPDATE tap_job j
   SET phase = 'EXECUTING', started_at = clock_timestamp(), attempts = attempts + 1, runner = %(runner)s::text,
       chunks_done = 0, chunks = 0, rows = 0
 WHERE j.phase = 'QUEUED'
   AND j.job_id = (
       SELECT waiting.job_id
         FROM (SELECT DISTINCT ON (requester) requester, job_id, queued_at, most_running
                 FROM tap_job
                WHERE phase = 'QUEUED'
                ORDER BY requester, queued_at, job_id) waiting
        CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE phase = 'EXECUTING') AS running, max(started_at) AS served
                              FROM tap_job t
                             WHERE t.requester = waiting.requester AND t.started_at IS NOT NULL) others
        WHERE others.running < waiting.most_running
        ORDER BY others.running, others.served NULLS FIRST, waiting.queued_at
        LIMIT 1)
RETURNING j.job_id, j.owner, j.phase, j.run_id, j.parameters, j.execution_s, j.created_at, j.started_at, j.ended_at,
       j.destruction_at, j.chunks_done, j.chunks, j.rows, j.result_file, j.result_type, j.result_bytes, j.overflow,
       j.error_code, j.error_message, j.identity;
