-- sql/worker/vacuumed_relations.sql
-- The relations with rows of catalogues that autovacuum may touch: those that an earlier version made.
-- Parameters: none.   Returns: schema, relation.   Used by: workers.earlier_relations
SELECT namespace.nspname, class.relname
  FROM (SELECT DISTINCT schema_name, relation FROM qserv.loaded_part) AS held
  JOIN pg_namespace AS namespace ON namespace.nspname = held.schema_name
  JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = held.relation
 WHERE class.relkind = 'r'
   AND NOT coalesce(class.reloptions @> ARRAY['autovacuum_enabled=false'], false)
 ORDER BY 1, 2;
