-- sql/czar/locks/unlock.sql
-- Give a named lock of the session back.
-- Parameters: name (text).   Returns: one row, whether it was held.   Used by: registry.transaction_steps, registry.statements, registry.migrations
SELECT pg_advisory_unlock(hashtextextended(%(name)s::text, 0));
