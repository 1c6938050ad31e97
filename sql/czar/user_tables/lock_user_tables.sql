-- sql/czar/user_tables/lock_user_tables.sql
-- Let one PostgreSQL transaction at a time add tables of a user; then sum what the user keeps.
-- Parameters: owner (text).   Returns: one row, nothing in it.   Used by: registry.user_tables.add_user_table
-- Locks: an advisory lock until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('user tables of ' || %(owner)s::text, 0));
