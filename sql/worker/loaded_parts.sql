-- sql/worker/loaded_parts.sql
-- The parts that a relation holds.
-- Parameters: schema_name, relation (text).   Returns: part_id, rows.   Used by: workers.row_store
SELECT part_id, rows
  FROM qserv.loaded_part
 WHERE schema_name = %(schema_name)s::text
   AND relation = %(relation)s::text;
