-- sql/czar/user_tables/delete_user_table_share.sql
-- Stop sharing a table with a user or a group.
-- Parameters: owner, table (text; table in any case), kind, name (text).
-- Returns: one row, or none when it was not shared with them.   Used by: registry.user_tables.share_user_table
DELETE FROM user_table_share s
 USING user_table t
 WHERE t.user_table_id = s.user_table_id AND t.owner = %(owner)s::text AND lower(t.name) = lower(%(table)s::text)
   AND s.kind = %(kind)s::text AND s.name = %(name)s::text
RETURNING s.user_table_id;
