-- sql/czar/snapshots/write_table_snapshot.sql
-- Write down what queries see of a table from now on as one row, its chunks as binary columns.
-- Chunks that hold only overlap rows are among them: their overlap is seen, no rows of their own.
-- Parameters: table_id (integer).   Returns: nothing.   Used by: registry.transactions.publish_snapshot
INSERT INTO table_snapshot (table_id, orders, pixels, rows, generations, has_overlap, ref_generation, total_rows,
                            total_bytes, farthest_pair_deg, index_runs)
SELECT ct.table_id,
       coalesce(string_agg(int2send(c.healpix_order), '' ORDER BY c.first), ''),
       coalesce(string_agg(int8send(c.pixel), '' ORDER BY c.first), ''),
       coalesce(string_agg(int8send(ct.served_rows), '' ORDER BY c.first) FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(string_agg(int4send(ct.served), '' ORDER BY c.first) FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(string_agg(boolsend(ct.served_overlap), '' ORDER BY c.first) FILTER (WHERE c.chunk_id IS NOT NULL), ''),
       coalesce(max(ct.served) FILTER (WHERE ct.chunk_id IS NULL), 0),
       sum(ct.served_rows)::bigint,
       sum(ct.served_bytes)::bigint,
       (SELECT CASE WHEN count(p.farthest_pair_deg) = count(*) THEN max(p.farthest_pair_deg) END
          FROM part p
         WHERE p.table_id = ct.table_id AND t.kind = 'match' AND p.role = 'chunk' AND p.snapshot IS NOT NULL),
       (SELECT coalesce(array_agg(p.path ORDER BY p.part_id), '{}')
          FROM part p
         WHERE p.table_id = ct.table_id AND p.chunk_id IS NULL AND p.role = 'index' AND p.snapshot IS NOT NULL)
  FROM chunk_table ct
  JOIN catalog_table t USING (table_id)
  LEFT JOIN chunk c USING (chunk_id)
 WHERE ct.table_id = %(table_id)s::integer AND ct.served IS NOT NULL
 GROUP BY ct.table_id, t.kind
    ON CONFLICT (table_id) DO UPDATE
   SET (orders, pixels, rows, generations, has_overlap, ref_generation, total_rows, total_bytes, farthest_pair_deg,
        index_runs)
     = (excluded.orders, excluded.pixels, excluded.rows, excluded.generations, excluded.has_overlap,
        excluded.ref_generation, excluded.total_rows, excluded.total_bytes, excluded.farthest_pair_deg,
        excluded.index_runs);
