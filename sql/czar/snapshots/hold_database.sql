-- sql/czar/snapshots/hold_database.sql
-- Lock a database's row, so that commits and publishing of a database follow each other.
-- Parameters: name (text).   Returns: database_id, present snapshot, or no row.
-- Used by: registry.snapshots.publish_snapshot
SELECT database_id, snapshot_number FROM catalog_database WHERE name = %(name)s::text FOR NO KEY UPDATE;
