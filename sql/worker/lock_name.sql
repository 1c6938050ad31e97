-- sql/worker/lock_name.sql
-- Wait for, and hold until the end of the transaction, a lock of this name: a load whose process was killed may still
-- be ending in its backend.
-- Parameters: name (text).   Returns: one row, nothing in it.   Used by: workers.row_store
SELECT pg_advisory_xact_lock(hashtextextended(%(name)s::text, 0));
