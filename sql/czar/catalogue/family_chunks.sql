-- sql/czar/catalogue/family_chunks.sql
-- The chunk maps: for each family its chunks in the order of the sky (of ``first``), as arrays, with the place of each
-- chunk's first worker among all workers.
-- Parameters: family (text), NULL for all.   Returns: name, orders, pixels, workers.   Used by: registry.catalog_reader
WITH numbered AS (SELECT worker_id, row_number() OVER (ORDER BY worker_id) - 1 AS number FROM worker),
     placed AS (SELECT chunk_id, min(worker_id) AS worker_id FROM placement GROUP BY chunk_id)
SELECT f.name,
       array_agg(c.healpix_order::bigint ORDER BY c.first),
       array_agg(c.pixel ORDER BY c.first),
       array_agg(n.number ORDER BY c.first)
  FROM family f
  JOIN chunk c USING (family_id)
  JOIN placed USING (chunk_id)
  JOIN numbered n USING (worker_id)
 WHERE %(family)s::text IS NULL OR f.name = %(family)s::text
 GROUP BY f.name;
