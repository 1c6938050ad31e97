-- sql/worker/held_relations.sql
-- The relations of a schema that hold parts, and whether a parent shows each.
-- Parameters: schema_name (text).   Returns: relation, is_shown.   Used by: workers.row_store
SELECT held.relation, EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = class.oid) AS is_shown
  FROM (SELECT DISTINCT relation FROM qserv.loaded_part WHERE schema_name = %(schema_name)s::text) AS held
  LEFT JOIN pg_namespace AS namespace ON namespace.nspname = %(schema_name)s::text
  LEFT JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = held.relation
 ORDER BY held.relation;
