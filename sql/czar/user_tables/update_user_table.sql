-- sql/czar/user_tables/update_user_table.sql
-- Give a table of a user another file, unless somebody else did so first.
-- Parameters: owner, name, old_file, file (text), rows, bytes (bigint).   Returns: one row, or none when the table has no
--   more the old file.   Used by: registry.user_tables.replace_user_table_file
UPDATE user_table SET file = %(file)s::text, rows = %(rows)s::bigint, bytes = %(bytes)s::bigint
 WHERE owner = %(owner)s::text AND name = %(name)s::text AND file = %(old_file)s::text
RETURNING user_table_id;
