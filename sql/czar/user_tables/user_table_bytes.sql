-- sql/czar/user_tables/user_table_bytes.sql
-- How much a user keeps.
-- Parameters: owner (text).   Returns: one row: bytes.   Used by: registry.user_tables
SELECT coalesce(sum(bytes), 0)::bigint FROM user_table WHERE owner = %(owner)s::text;
