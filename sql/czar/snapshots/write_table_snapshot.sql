-- sql/czar/snapshots/write_table_snapshot.sql
-- Write down what queries see of a table from now on as one row, its segments as binary columns.
-- Segments that hold only overlap rows are among them: their overlap is seen, no rows of their own.
-- Parameters: table_id (integer).   Returns: nothing.   Used by: registry.snapshots
INSERT INTO table_snapshot (table_id, orders, pixels, rows, generations, has_overlap, ref_generations, total_rows,
                            total_bytes, farthest_pair_deg, index_runs, chunks)
SELECT s.table_id,
       coalesce(string_agg(int2send(c.healpix_order), '' ORDER BY c.first, s.generation), ''),
       coalesce(string_agg(int8send(c.pixel), '' ORDER BY c.first, s.generation), ''),
       coalesce(string_agg(int8send(s.rows), '' ORDER BY c.first, s.generation) FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(string_agg(int4send(s.generation), '' ORDER BY c.first, s.generation)
                FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(string_agg(boolsend(s.has_overlap), '' ORDER BY c.first, s.generation)
                FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(array_agg(s.generation ORDER BY s.generation) FILTER (WHERE s.chunk_id IS NULL), '{}'),
       sum(s.rows)::bigint,
       sum(s.bytes)::bigint,
       (SELECT CASE WHEN count(p.farthest_pair_deg) = count(*) THEN max(p.farthest_pair_deg) END
          FROM part p
         WHERE p.table_id = s.table_id AND t.kind = 'match' AND p.role = 'chunk' AND p.snapshot IS NOT NULL
           AND p.retired IS NULL),
       (SELECT coalesce(array_agg(p.path ORDER BY p.part_id), '{}')
          FROM part p
         WHERE p.table_id = s.table_id AND p.chunk_id IS NULL AND p.role = 'index' AND p.snapshot IS NOT NULL
           AND p.retired IS NULL),
       count(DISTINCT s.chunk_id)::integer
  FROM segment s
  JOIN catalog_table t USING (table_id)
  LEFT JOIN chunk c USING (chunk_id)
 WHERE s.table_id = %(table_id)s::integer AND s.since IS NOT NULL AND s.retired IS NULL
 GROUP BY s.table_id, t.kind
    ON CONFLICT (table_id) DO UPDATE
   SET (orders, pixels, rows, generations, has_overlap, ref_generations, total_rows, total_bytes, farthest_pair_deg,
        index_runs, chunks)
     = (excluded.orders, excluded.pixels, excluded.rows, excluded.generations, excluded.has_overlap,
        excluded.ref_generations, excluded.total_rows, excluded.total_bytes, excluded.farthest_pair_deg,
        excluded.index_runs, excluded.chunks);
