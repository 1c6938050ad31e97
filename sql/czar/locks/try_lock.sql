-- sql/czar/locks/try_lock.sql
-- Take a named lock of the session if nobody else holds it.
-- Parameters: name (text).   Returns: one row, whether it was taken.   Used by: registry.transactions, registry.statements
SELECT pg_try_advisory_lock(hashtextextended(%(name)s::text, 0));
