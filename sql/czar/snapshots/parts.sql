-- sql/czar/snapshots/parts.sql
-- Parts of a database that hold each committed row once; a parameter that is NULL does not narrow them.
-- Parameters: database (text), tables, roles (text[]), firsts (bigint[], of chunks), transaction_id (bigint),
-- published (boolean).   Returns: one row each, oldest first.   Used by: registry.snapshots.parts_of
SELECT p.part_id, t.name, p.role, c.healpix_order, c.pixel, w.name, p.path, p.rows, p.bytes, p.sha256,
       p.transaction_id, p.snapshot, p.farthest_pair_deg
  FROM held_part p
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
  LEFT JOIN chunk c USING (chunk_id)
  LEFT JOIN worker w ON w.worker_id = p.worker_id
 WHERE d.name = %(database)s::text
   AND (%(tables)s::text[] IS NULL OR t.name = ANY (%(tables)s::text[]))
   AND (%(roles)s::text[] IS NULL OR p.role = ANY (%(roles)s::text[]))
   AND (%(firsts)s::bigint[] IS NULL
        OR p.chunk_id = ANY (ARRAY(SELECT k.chunk_id FROM chunk k JOIN catalog_database o USING (family_id)
                                    WHERE o.name = %(database)s::text AND k.first = ANY (%(firsts)s::bigint[]))))
   AND (%(transaction_id)s::bigint IS NULL OR p.transaction_id = %(transaction_id)s::bigint)
   AND (%(published)s::boolean IS NULL OR (p.snapshot IS NOT NULL) = %(published)s::boolean)
 ORDER BY p.part_id;
