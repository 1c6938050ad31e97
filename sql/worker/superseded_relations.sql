-- sql/worker/superseded_relations.sql
-- The superseded relations of a schema that are still there.
-- Parameters: schema_name (text).   Returns: relation, superseded_s (seconds).   Used by: workers.row_store
SELECT relation, extract(epoch FROM now() - since)::double precision
  FROM qserv.superseded
 WHERE schema_name = %(schema_name)s::text
 ORDER BY relation;
