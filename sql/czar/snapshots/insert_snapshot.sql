-- sql/czar/snapshots/insert_snapshot.sql
-- Record a snapshot and make it the one that queries see.
-- Parameters: database_id, number (integer).   Returns: nothing.   Used by: registry.snapshots.publish_snapshot
WITH added AS (
    INSERT INTO snapshot (database_id, number) VALUES (%(database_id)s::integer, %(number)s::integer)
)
UPDATE catalog_database SET snapshot_number = %(number)s::integer, state = 'published'
 WHERE database_id = %(database_id)s::integer;
