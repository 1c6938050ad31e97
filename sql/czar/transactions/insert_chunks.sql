-- sql/czar/transactions/insert_chunks.sql
-- Add chunks to a family's chunk map.
-- Parameters: family_id (integer); arrays of one element a chunk: orders, pixels (bigint), workers (text).
-- Returns: nothing.   Used by: registry.transaction_steps
WITH wanted AS (
    SELECT * FROM unnest(%(orders)s::bigint[], %(pixels)s::bigint[], %(workers)s::text[]) AS u (o, pixel, worker)
), added AS (
    INSERT INTO chunk (family_id, healpix_order, pixel)
    SELECT %(family_id)s::integer, o, pixel FROM wanted
    RETURNING chunk_id, healpix_order, pixel
)
INSERT INTO placement (chunk_id, worker_id)
SELECT a.chunk_id, w.worker_id
  FROM added a
  JOIN wanted u ON (u.o, u.pixel) = (a.healpix_order, a.pixel)
  JOIN worker w ON w.name = u.worker;
