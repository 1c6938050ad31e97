-- sql/czar/jobs/job_counts.sql
-- How many jobs there are in each phase.
-- Parameters: none.   Returns: phase, number.
-- Used by: registry.jobs.count_phases
SELECT phase, count(*) FROM tap_job GROUP BY phase;
