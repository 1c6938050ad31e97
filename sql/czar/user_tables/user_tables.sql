-- sql/czar/user_tables/user_tables.sql
-- The tables that a user owns, and those that others share with the user or one of the groups; by owner and name.
-- Parameters: owner (text; NULL for the tables of everybody), groups (text[]).
-- Returns: one row each, with its shares as [kind, name].   Used by: registry.user_tables
SELECT t.user_table_id, t.owner, t.name, t.file, t.rows, t.bytes, t.columns, t.description, t.created_at,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(s.kind, s.name)), '[]')
          FROM user_table_share s
         WHERE s.user_table_id = t.user_table_id)
  FROM user_table t
 WHERE %(owner)s::text IS NULL OR t.owner = %(owner)s::text
    OR EXISTS (SELECT FROM user_table_share s
                WHERE s.user_table_id = t.user_table_id
                  AND (s.kind = 'user' AND s.name = %(owner)s::text
                       OR s.kind = 'group' AND s.name = ANY (%(groups)s::text[])))
 ORDER BY t.owner, lower(t.name);
