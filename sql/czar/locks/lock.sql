-- sql/czar/locks/lock.sql
-- Take a named lock of the session, waiting for whoever holds it.
-- Parameters: name (text).   Returns: one row.   Used by: registry.connection, registry.transactions, registry.migrations
SELECT pg_advisory_lock(hashtextextended(%(name)s::text, 0));
