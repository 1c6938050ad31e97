-- sql/worker/record_load.sql
-- Write down that a relation holds a part; a second time is an error, which is what makes a load exactly-once.
-- Parameters: schema_name, relation (text), part_id, rows (bigint).   Returns: nothing.   Used by: workers.row_store
INSERT INTO qserv.loaded_part (schema_name, relation, part_id, rows)
VALUES (%(schema_name)s::text, %(relation)s::text, %(part_id)s::bigint, %(rows)s::bigint);
