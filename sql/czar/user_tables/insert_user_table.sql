-- sql/czar/user_tables/insert_user_table.sql
-- Add a table of a user, whose file is there already.
-- Parameters: owner, name, file, description (text), rows, bytes (bigint), columns (jsonb).
-- Returns: one row, or none when the user has a table of this name, whatever its case.
-- Used by: registry.user_tables.add_user_table
INSERT INTO user_table (owner, name, file, rows, bytes, columns, description)
VALUES (%(owner)s::text, %(name)s::text, %(file)s::text, %(rows)s::bigint, %(bytes)s::bigint, %(columns)s::jsonb,
        %(description)s::text)
    ON CONFLICT (owner, lower(name)) DO NOTHING
RETURNING user_table_id;
