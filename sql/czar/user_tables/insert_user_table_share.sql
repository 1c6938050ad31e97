-- sql/czar/user_tables/insert_user_table_share.sql
-- Let a user or a group read a table.
-- Parameters: owner, table (text; table in any case), kind, name (text).
-- Returns: one row, or none when it was shared with them or there is no such table.
-- Used by: registry.user_tables.share_user_table
INSERT INTO user_table_share (user_table_id, kind, name)
SELECT user_table_id, %(kind)s::text, %(name)s::text
  FROM user_table t
 WHERE t.owner = %(owner)s::text AND lower(t.name) = lower(%(table)s::text)
    ON CONFLICT DO NOTHING
RETURNING user_table_id;
