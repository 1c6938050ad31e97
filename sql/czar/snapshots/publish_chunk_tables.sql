-- sql/czar/snapshots/publish_chunk_tables.sql
-- Serve the pending generations of the chunk tables of some tables, and count what they hold.
-- Parameters: table_ids (integer[]), number (integer), the snapshot.   Returns: nothing.   Used by: registry.transactions.publish_snapshot
UPDATE chunk_table ct
   SET served = ct.pending, pending = NULL, served_rows = held.rows, served_bytes = held.bytes,
       served_overlap = held.overlap, served_since = %(number)s::integer
  FROM (SELECT k.table_id, k.chunk_id,
               coalesce(sum(p.rows) FILTER (WHERE p.role = 'chunk'), 0)::bigint AS rows,
               coalesce(sum(p.bytes) FILTER (WHERE p.role = 'chunk'), 0)::bigint AS bytes,
               bool_or(p.role = 'overlap') AS overlap
          FROM chunk_table k
          JOIN part p USING (table_id, chunk_id)
         WHERE k.table_id = ANY (%(table_ids)s::integer[]) AND k.pending IS NOT NULL
         GROUP BY k.table_id, k.chunk_id) AS held
 WHERE (ct.table_id, ct.chunk_id) = (held.table_id, held.chunk_id);
