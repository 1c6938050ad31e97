-- sql/czar/datasets/publish_images.sql
-- Put the unpublished images of a database into a snapshot.
-- Parameters: database_id, number (integer).   Returns: nothing.   Used by: registry.snapshots.publish_snapshot
UPDATE image SET snapshot = %(number)s::integer
 WHERE snapshot IS NULL AND database_id = %(database_id)s::integer;
