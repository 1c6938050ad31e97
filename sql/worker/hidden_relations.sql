-- sql/worker/hidden_relations.sql
-- Those of some relations of a schema that are there and that their parent does not show.
-- Parameters: schema_name, parent (text), relations (text[]).   Returns: relation.   Used by: workers.row_store
SELECT class.relname
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema_name)s::text AND class.relname = ANY (%(relations)s::text[])
   AND NOT EXISTS (SELECT FROM pg_inherits AS i
                     JOIN pg_class AS p ON p.oid = i.inhparent
                    WHERE i.inhrelid = class.oid AND p.relnamespace = namespace.oid
                      AND p.relname = %(parent)s::text)
 ORDER BY class.relname;
