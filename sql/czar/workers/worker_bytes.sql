-- sql/czar/workers/worker_bytes.sql
-- Bytes of the committed chunk and overlap parts of each worker: those of a family, and of all databases.
-- Parameters: family (text).   Returns: name, bytes of the family, bytes of all.   Used by: registry.listing
SELECT w.name,
       coalesce(sum(r.bytes) FILTER (WHERE f.name = %(family)s::text), 0)::bigint,
       coalesce(sum(r.bytes), 0)::bigint
  FROM worker w
  LEFT JOIN worker_rows r USING (worker_id)
  LEFT JOIN catalog_database d USING (database_id)
  LEFT JOIN family f USING (family_id)
 GROUP BY w.worker_id
 ORDER BY w.worker_id;
