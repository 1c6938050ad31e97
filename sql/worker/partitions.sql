-- sql/worker/partitions.sql
-- The partitions of a relation, one NULL when it has none; no row when it is not partitioned.
-- Parameters: schema_name, relation (text).   Returns: relation.   Used by: workers.row_store
SELECT child.relname
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
  LEFT JOIN pg_inherits AS i ON i.inhparent = class.oid
  LEFT JOIN pg_class AS child ON child.oid = i.inhrelid
 WHERE namespace.nspname = %(schema_name)s::text AND class.relname = %(relation)s::text AND class.relkind = 'p'
 ORDER BY child.relname;
