-- sql/czar/snapshots/snapshot_chunks.sql
-- What queries see of the partitioned tables: the chunks with rows, as places in the family's chunk map.
-- Chunks that hold only overlap rows are left out: a query that reads them has nothing to pair them with.
-- Parameters: none.   Returns: table_id, chunks, rows, generations, total_rows, total_bytes.
-- Used by: registry.catalog_reader
WITH place AS (SELECT chunk_id, row_number() OVER (PARTITION BY family_id ORDER BY first) - 1 AS number FROM chunk)
SELECT ct.table_id,
       array_agg(p.number ORDER BY p.number),
       array_agg(ct.served_rows ORDER BY p.number),
       array_agg(ct.served::bigint ORDER BY p.number),
       sum(ct.served_rows)::bigint,
       sum(ct.served_bytes)::bigint
  FROM chunk_table ct
  JOIN place p USING (chunk_id)
 WHERE ct.served IS NOT NULL AND ct.served_rows > 0
 GROUP BY ct.table_id;
