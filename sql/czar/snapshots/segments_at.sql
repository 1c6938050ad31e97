-- sql/czar/snapshots/segments_at.sql
-- What queries of a snapshot read of the chunks (or ref tables) of some segments.
-- Parameters: segment_ids (bigint[]), number (integer), the snapshot.   Returns: as segments.   Used by: registry.snapshots
SELECT s.segment_id, t.name, c.healpix_order, c.pixel, '{}'::text[], s.generation, s.since, s.retired, s.rows,
       s.has_overlap
  FROM segment s
  JOIN catalog_table t USING (table_id)
  LEFT JOIN chunk c USING (chunk_id)
 WHERE s.since <= %(number)s::integer AND (s.retired IS NULL OR s.retired > %(number)s::integer)
   AND (s.table_id, coalesce(s.chunk_id, -1))
    IN (SELECT table_id, coalesce(chunk_id, -1) FROM segment WHERE segment_id = ANY (%(segment_ids)s::bigint[]))
 ORDER BY t.place, c.first, s.generation;
