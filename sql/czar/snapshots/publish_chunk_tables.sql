-- sql/czar/snapshots/publish_chunk_tables.sql
-- Serve the pending generations of a database's chunk tables, and count what they hold.
-- Parameters: database_id (integer).   Returns: nothing.   Used by: registry.transactions.publish_snapshot
UPDATE chunk_table ct
   SET served = ct.pending, pending = NULL, served_rows = held.rows, served_bytes = held.bytes
  FROM (SELECT k.table_id, k.chunk_id,
               coalesce(sum(p.rows) FILTER (WHERE p.role <> 'overlap'), 0)::bigint AS rows,
               coalesce(sum(p.bytes) FILTER (WHERE p.role <> 'overlap'), 0)::bigint AS bytes
          FROM chunk_table k
          JOIN catalog_table t USING (table_id)
          JOIN part p ON p.table_id = k.table_id AND p.role <> 'index'
                     AND coalesce(p.chunk_id, -1) = coalesce(k.chunk_id, -1)  -- an equality, so that it can hash
         WHERE t.database_id = %(database_id)s::integer AND k.pending IS NOT NULL
         GROUP BY k.table_id, k.chunk_id) AS held
 WHERE ct.table_id = held.table_id AND coalesce(ct.chunk_id, -1) = coalesce(held.chunk_id, -1);
