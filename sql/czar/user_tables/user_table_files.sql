-- sql/czar/user_tables/user_table_files.sql
-- The files of all tables of users.
-- Parameters: none.   Returns: one row each.   Used by: registry.user_tables.known_files
SELECT file FROM user_table;
