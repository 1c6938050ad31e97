-- sql/czar/unpublished_parts.sql
-- Whether a database has parts that no snapshot holds.
-- Parameters: database_id (integer).   Returns: one row.   Used by: registry.transactions.publish_snapshot
SELECT EXISTS (SELECT FROM part p JOIN catalog_table t USING (table_id)
                WHERE t.database_id = %(database_id)s::integer AND p.snapshot IS NULL);
