-- sql/czar/snapshots/retired_parts.sql
-- Parts of a database that neither the snapshot of a number nor a later one has, unless an ingest of its family that
-- was opened before they retired may still read them.
-- Parameters: database (text), number (integer).   Returns: as parts.   Used by: registry.snapshots
SELECT p.part_id, t.name, p.role, c.healpix_order, c.pixel, w.name, p.path, p.rows, p.bytes, p.sha256,
       p.transaction_id, p.snapshot, p.farthest_pair_deg
  FROM part p
  JOIN catalog_table t USING (table_id)
  JOIN catalog_database d USING (database_id)
  JOIN snapshot n ON n.database_id = d.database_id AND n.number = p.retired
  LEFT JOIN chunk c USING (chunk_id)
  LEFT JOIN worker w ON w.worker_id = p.worker_id
 WHERE d.name = %(database)s::text AND p.retired <= %(number)s::integer
   AND NOT EXISTS (SELECT FROM super_transaction x
                     JOIN catalog_database o USING (database_id)
                    WHERE o.family_id = d.family_id AND x.state = 'OPEN' AND NOT pg_visible_in_snapshot(n.xid, x.seen))
 ORDER BY p.part_id;
