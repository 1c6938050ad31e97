-- sql/czar/datasets/publish_datasets.sql
-- Put the unpublished datasets of a database into a snapshot.
-- Parameters: database_id, number (integer).   Returns: nothing.   Used by: registry.snapshots.publish_snapshot
UPDATE dataset SET snapshot = %(number)s::integer
 WHERE snapshot IS NULL
   AND table_id IN (SELECT table_id FROM catalog_table WHERE database_id = %(database_id)s::integer);
