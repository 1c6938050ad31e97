-- sql/czar/catalogue/family_chunks.sql
-- The chunk map of a family: its chunks in the order of the sky (of ``first``), one big-endian value a chunk, with each
-- chunk's first worker, -1 for a chunk that is placed nowhere.
-- Parameters: family (text).   Returns: version, orders (int16), pixels (int64), worker_ids (int32).
-- Used by: registry.snapshot_reader
SELECT f.version,
       coalesce(string_agg(int2send(c.healpix_order), '' ORDER BY c.first), ''),
       coalesce(string_agg(int8send(c.pixel), '' ORDER BY c.first), ''),
       coalesce(string_agg(int4send(coalesce(p.worker_id, -1)), '' ORDER BY c.first)
                FILTER (WHERE c.chunk_id IS NOT NULL), '')
  FROM family f
  LEFT JOIN chunk c USING (family_id)
  LEFT JOIN (SELECT chunk_id, min(worker_id) AS worker_id FROM placement GROUP BY chunk_id) AS p USING (chunk_id)
 WHERE f.name = %(family)s::text
 GROUP BY f.family_id;
