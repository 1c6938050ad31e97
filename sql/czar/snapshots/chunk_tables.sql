-- sql/czar/snapshots/chunk_tables.sql
-- Chunk tables and ref tables of a database with their generations; a parameter that is NULL does not narrow them.
-- Parameters: database (text), tables (text[]), transaction_id (bigint), pending (boolean), worker (text), since
-- (integer, keeps what a later snapshot began to serve).
-- Returns: one row each, in the order of tables and sky.   Used by: registry.transactions.chunk_tables
SELECT t.name, c.healpix_order, c.pixel,
       CASE WHEN ct.chunk_id IS NULL
            THEN ARRAY(SELECT name FROM worker ORDER BY worker_id)
            ELSE ARRAY(SELECT w.name FROM placement p JOIN worker w USING (worker_id)
                        WHERE p.chunk_id = ct.chunk_id ORDER BY w.worker_id)
       END,
       ct.served, ct.pending
  FROM chunk_table ct
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
  LEFT JOIN chunk c USING (chunk_id)
 WHERE d.name = %(database)s::text
   AND (%(tables)s::text[] IS NULL OR t.name = ANY (%(tables)s::text[]))
   AND (%(transaction_id)s::bigint IS NULL
        OR (ct.table_id, coalesce(ct.chunk_id, -1)) IN  -- an equality, so that it can hash
           (SELECT table_id, coalesce(chunk_id, -1) FROM part
             WHERE transaction_id = %(transaction_id)s::bigint AND role <> 'index'))
   AND (%(pending)s::boolean IS DISTINCT FROM true OR ct.pending IS NOT NULL)  -- the condition of a partial index
   AND (%(pending)s::boolean IS DISTINCT FROM false OR ct.pending IS NULL)
   AND (%(since)s::integer IS NULL OR ct.served_since > %(since)s::integer)
   AND (%(worker)s::text IS NULL OR ct.chunk_id IS NULL
        OR EXISTS (SELECT FROM placement p JOIN worker w USING (worker_id)
                    WHERE p.chunk_id = ct.chunk_id AND w.name = %(worker)s::text))
 ORDER BY t.place, c.first;
