-- sql/worker/hold_scratch.sql
-- Hold the lock of a czar's number for as long as the connection lives: its scratch tables are in use.
-- Parameters: czar (integer).   Returns: one row, whether the number was free.
-- Locks: an advisory lock of the session.   Used by: workers.scratch
SELECT pg_try_advisory_lock(hashtext('qserv scratch'), %(czar)s::integer);
