-- sql/worker/skip_log.sql
-- Let relations that this transaction makes reach the disk as files at its commit, and not by way of the log.
-- PostgreSQL logs relations below 2 MB page by page, and most chunk tables and all of their indexes are that small.
-- Parameters: none.   Returns: nothing.   Used by: workers.row_store
SET LOCAL wal_skip_threshold = 0;
