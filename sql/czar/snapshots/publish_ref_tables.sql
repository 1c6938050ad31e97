-- sql/czar/snapshots/publish_ref_tables.sql
-- Serve the pending generations of those of some tables that are ref tables, and count what they hold.
-- Parameters: table_ids (integer[]), number (integer), the snapshot.   Returns: nothing.   Used by: registry.transactions.publish_snapshot
UPDATE chunk_table ct
   SET served = ct.pending, pending = NULL, served_rows = held.rows, served_bytes = held.bytes,
       served_since = %(number)s::integer
  FROM (SELECT table_id, sum(rows)::bigint AS rows, sum(bytes)::bigint AS bytes
          FROM part
         WHERE table_id = ANY (%(table_ids)s::integer[]) AND chunk_id IS NULL AND role = 'ref'
         GROUP BY table_id) AS held
 WHERE ct.table_id = held.table_id AND ct.chunk_id IS NULL AND ct.pending IS NOT NULL;
