-- sql/czar/snapshots/crowded_segments.sql
-- What queries read of the chunks and ref tables of a database that have so many segments.
-- Parameters: database (text), few (integer).   Returns: as segments.   Used by: registry.snapshots
SELECT s.segment_id, t.name, c.healpix_order, c.pixel,
       CASE WHEN s.chunk_id IS NULL
            THEN ARRAY(SELECT name FROM worker ORDER BY worker_id)
            ELSE ARRAY(SELECT w.name FROM placement p JOIN worker w USING (worker_id)
                        WHERE p.chunk_id = s.chunk_id ORDER BY w.worker_id)
       END,
       s.generation, s.since, s.retired, s.rows, s.has_overlap
  FROM (SELECT table_id, coalesce(chunk_id, -1) AS chunk
          FROM segment
         WHERE since IS NOT NULL AND retired IS NULL
         GROUP BY 1, 2
        HAVING count(*) >= %(few)s::integer) AS crowded
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
  JOIN segment s ON s.table_id = crowded.table_id AND coalesce(s.chunk_id, -1) = crowded.chunk
  LEFT JOIN chunk c USING (chunk_id)
 WHERE d.name = %(database)s::text AND s.since IS NOT NULL AND s.retired IS NULL
 ORDER BY t.place, c.first, s.generation;
