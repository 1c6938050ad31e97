-- sql/czar/catalogue/list_chunks.sql
-- The chunks of each partitioned table, with their rows; of databases that match, or of all when database is NULL.
-- Parameters: database, "table" (text).   Returns: one row a table, chunk and worker.   Used by: registry.listing
SELECT d.name, t.name, c.healpix_order, c.pixel, w.name,
       coalesce(sum(p.rows) FILTER (WHERE p.role = 'chunk'), 0)::bigint,
       coalesce(sum(p.rows) FILTER (WHERE p.role = 'overlap'), 0)::bigint,
       count(*), sum(p.bytes)::bigint
  FROM held_part p
  JOIN chunk c USING (chunk_id)
  JOIN worker w ON w.worker_id = p.worker_id
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
 WHERE (%(database)s::text IS NULL OR lower(d.name) = lower(%(database)s::text))
   AND (%(table)s::text IS NULL OR lower(t.name) = lower(%(table)s::text))
 GROUP BY d.name, t.place, t.name, c.first, c.healpix_order, c.pixel, w.name
 ORDER BY d.name, t.place, c.first, w.name;
