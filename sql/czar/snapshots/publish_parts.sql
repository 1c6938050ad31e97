-- sql/czar/snapshots/publish_parts.sql
-- Put the unpublished parts of a database into a snapshot.
-- Parameters: database_id, number (integer).   Returns: table_id of each table that had any.
-- Used by: registry.transactions.publish_snapshot
WITH published AS (
    UPDATE part SET snapshot = %(number)s::integer
     WHERE snapshot IS NULL
       AND table_id IN (SELECT table_id FROM catalog_table WHERE database_id = %(database_id)s::integer)
    RETURNING table_id
)
SELECT DISTINCT table_id FROM published;
