-- sql/czar/transactions/overlapping_chunks.sql
-- Two chunks of a family that share sky; there must be none.
-- Parameters: family_id (integer).   Returns: one row (order and pixel of either) or none.
-- Used by: registry.transaction_steps
SELECT before_order, before_pixel, healpix_order, pixel
  FROM (SELECT healpix_order, pixel, first,
               lag(healpix_order) OVER sky AS before_order,
               lag(pixel) OVER sky AS before_pixel,
               lag(first + (1::bigint << (2 * (29 - healpix_order)))) OVER sky AS before_end
          FROM chunk
         WHERE family_id = %(family_id)s::integer
        WINDOW sky AS (ORDER BY first)) AS neighbours
 WHERE before_end > first
 LIMIT 1;
