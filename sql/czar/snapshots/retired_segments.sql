-- sql/czar/snapshots/retired_segments.sql
-- Segments of a database that neither the snapshot of a number nor a later one has.
-- Parameters: database (text), number (integer), worker (text; NULL for all workers).
-- Returns: as segments.   Used by: registry.snapshots
SELECT s.segment_id, t.name, c.healpix_order, c.pixel,
       CASE WHEN s.chunk_id IS NULL
            THEN ARRAY(SELECT name FROM worker ORDER BY worker_id)
            ELSE ARRAY(SELECT w.name FROM placement p JOIN worker w USING (worker_id)
                        WHERE p.chunk_id = s.chunk_id ORDER BY w.worker_id)
       END,
       s.generation, s.since, s.retired, s.rows, s.has_overlap
  FROM segment s
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
  LEFT JOIN chunk c USING (chunk_id)
 WHERE d.name = %(database)s::text AND s.retired <= %(number)s::integer
   AND (%(worker)s::text IS NULL OR s.chunk_id IS NULL
        OR EXISTS (SELECT FROM placement p JOIN worker w USING (worker_id)
                    WHERE p.chunk_id = s.chunk_id AND w.name = %(worker)s::text))
 ORDER BY t.place, c.first, s.generation;
