-- sql/czar/snapshots/snapshot_overlaps.sql
-- What neighbour joins see of the directors: the chunks with an overlap table, as places in the family's chunk map.
-- Parameters: none.   Returns: table_id, chunks, generations.   Used by: registry.catalog_reader
WITH place AS (SELECT chunk_id, row_number() OVER (PARTITION BY family_id ORDER BY first) - 1 AS number FROM chunk),
     overlap AS (SELECT DISTINCT table_id, chunk_id FROM part WHERE role = 'overlap' AND snapshot IS NOT NULL)
SELECT ct.table_id,
       array_agg(p.number ORDER BY p.number),
       array_agg(ct.served::bigint ORDER BY p.number)
  FROM overlap o
  JOIN chunk_table ct USING (table_id, chunk_id)
  JOIN place p USING (chunk_id)
 WHERE ct.served IS NOT NULL
 GROUP BY ct.table_id;
