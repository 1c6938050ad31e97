-- sql/worker/sweep_scratch.sql
-- Drop the scratch tables of czars that are no more.
-- Parameters: none.   Returns: one row, the number of tables dropped.   Used by: workers.scratch, workers.server_setup
SELECT qserv.sweep_scratch();
