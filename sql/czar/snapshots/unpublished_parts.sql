-- sql/czar/snapshots/unpublished_parts.sql
-- Whether a database has parts, datasets or images that no snapshot holds.
-- Parameters: database_id (integer).   Returns: one row.   Used by: registry.snapshots.publish_snapshot
SELECT EXISTS (SELECT FROM part p JOIN catalog_table t USING (table_id) JOIN super_transaction x USING (transaction_id)
                WHERE t.database_id = %(database_id)s::integer AND p.snapshot IS NULL AND x.state = 'LOADED')
    OR EXISTS (SELECT FROM dataset s JOIN catalog_table t USING (table_id)
                WHERE t.database_id = %(database_id)s::integer AND s.snapshot IS NULL)
    OR EXISTS (SELECT FROM image i WHERE i.database_id = %(database_id)s::integer AND i.snapshot IS NULL);
