-- sql/czar/transactions/insert_parts.sql
-- Add the parts of a super-transaction; rows whose table, chunk or worker is not known add nothing.
-- Parameters: transaction_id (bigint); arrays of one element a part: tables, roles (text), orders, pixels (bigint, NULL
-- without chunk), workers, paths (text), rows, bytes (bigint), sha256s (text), farthest_pairs (double precision, degrees or NULL).
-- Returns: part_id of each part added; ascending ids are in the order of the arrays.
-- Used by: registry.transaction_steps
INSERT INTO part (table_id, transaction_id, role, chunk_id, worker_id, path, rows, bytes, sha256,
                  farthest_pair_deg)
SELECT t.table_id, x.transaction_id, u.role, c.chunk_id, w.worker_id, u.path, u.rows, u.bytes, u.sha256,
       u.farthest_pair
  FROM unnest(%(tables)s::text[], %(roles)s::text[], %(orders)s::bigint[], %(pixels)s::bigint[], %(workers)s::text[],
              %(paths)s::text[], %(rows)s::bigint[], %(bytes)s::bigint[], %(sha256s)s::text[],
              %(farthest_pairs)s::double precision[])
       WITH ORDINALITY AS u (table_name, role, o, pixel, worker, path, rows, bytes, sha256, farthest_pair, place)
  JOIN super_transaction x ON x.transaction_id = %(transaction_id)s::bigint
  JOIN catalog_database d ON d.database_id = x.database_id
  JOIN catalog_table t ON t.database_id = x.database_id AND t.name = u.table_name
  LEFT JOIN chunk c ON c.family_id = d.family_id AND c.first = u.pixel << (2 * (29 - u.o::integer))
                   AND c.healpix_order = u.o
  LEFT JOIN worker w ON w.name = u.worker
 WHERE (u.pixel IS NULL) = (c.chunk_id IS NULL) AND (u.worker IS NULL) = (w.worker_id IS NULL)
 ORDER BY u.place
RETURNING part_id;
