-- sql/worker/forget_relations.sql
-- Forget what relations held, in the transaction that drops them.
-- Parameters: schema_name (text), relations (text[]).   Returns: nothing.   Used by: workers.row_store
DELETE FROM qserv.loaded_part
 WHERE schema_name = %(schema_name)s::text
   AND relation = ANY (%(relations)s::text[]);
