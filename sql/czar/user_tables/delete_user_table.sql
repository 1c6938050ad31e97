-- sql/czar/user_tables/delete_user_table.sql
-- Forget a table of a user; whoever calls removes its file afterwards.
-- Parameters: owner, name (text; name in any case).   Returns: its file, or no row.
-- Used by: registry.user_tables.delete_user_table
DELETE FROM user_table WHERE owner = %(owner)s::text AND lower(name) = lower(%(name)s::text) RETURNING file;
