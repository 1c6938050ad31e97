-- sql/worker/held_relations.sql
-- The relations of a schema that hold parts, and whether each is attached to its parent.
-- Parameters: schema_name (text), stems (text[], names without their generations; NULL for all).
-- Returns: relation, attached.   Used by: workers.row_store
SELECT held.relation, coalesce(class.relispartition, false) AS attached
  FROM (SELECT DISTINCT relation
          FROM qserv.loaded_part
         WHERE schema_name = %(schema_name)s::text
           AND (%(stems)s::text[] IS NULL OR regexp_replace(relation, '_g[0-9]+$', '') = ANY (%(stems)s::text[]))) AS held
  LEFT JOIN pg_namespace AS namespace ON namespace.nspname = %(schema_name)s::text
  LEFT JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = held.relation
 ORDER BY held.relation;
