-- sql/worker/held_relations.sql
-- The relations of a schema that hold parts, whether each is attached to its parent, and since when it is superseded.
-- Parameters: schema_name (text).   Returns: relation, attached, rows, superseded_s (seconds, or NULL).
-- Used by: workers.row_store
SELECT held.relation,
       coalesce(class.relispartition, false) AS attached,
       held.rows,
       extract(epoch FROM now() - superseded.since)::double precision AS superseded_s
  FROM (SELECT relation, sum(rows)::bigint AS rows
          FROM qserv.loaded_part
         WHERE schema_name = %(schema_name)s::text
         GROUP BY relation) AS held
  LEFT JOIN pg_namespace AS namespace ON namespace.nspname = %(schema_name)s::text
  LEFT JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = held.relation
  LEFT JOIN qserv.superseded ON superseded.schema_name = %(schema_name)s::text
                            AND superseded.relation = held.relation
 ORDER BY held.relation;
