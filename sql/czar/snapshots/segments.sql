-- sql/czar/snapshots/segments.sql
-- Segments of a database; a parameter that is NULL does not narrow them.
-- Parameters: database (text), tables (text[]), transaction_id (bigint, of parts), pending (boolean: true keeps appended
-- rows that wait, false what queries read), worker (text), since (integer, keeps appended ones that a later snapshot has).
-- Returns: one row each, in the order of tables, sky and generations.   Used by: registry.snapshots
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
 WHERE d.name = %(database)s::text
   AND (%(tables)s::text[] IS NULL OR t.name = ANY (%(tables)s::text[]))
   AND (%(transaction_id)s::bigint IS NULL
        OR s.segment_id IN (SELECT segment_id FROM part WHERE transaction_id = %(transaction_id)s::bigint))
   AND (%(pending)s::boolean IS DISTINCT FROM true OR (s.since IS NULL AND s.transaction_id IS NULL))
   AND (%(pending)s::boolean IS DISTINCT FROM false OR (s.since IS NOT NULL AND s.retired IS NULL))
   AND (%(since)s::integer IS NULL OR (s.since > %(since)s::integer AND s.transaction_id IS NULL))
   AND (%(worker)s::text IS NULL OR s.chunk_id IS NULL
        OR EXISTS (SELECT FROM placement p JOIN worker w USING (worker_id)
                    WHERE p.chunk_id = s.chunk_id AND w.name = %(worker)s::text))
 ORDER BY t.place, c.first, s.generation;
