-- sql/czar/snapshots/segment_parts.sql
-- The parts that some segments hold.
-- Parameters: segment_ids (bigint[]).   Returns: segment_id, then as parts; oldest first.   Used by: registry.snapshots
SELECT p.segment_id, p.part_id, t.name, p.role, c.healpix_order, c.pixel, w.name, p.path, p.rows, p.bytes, p.sha256,
       p.transaction_id, p.snapshot, p.farthest_pair_deg
  FROM part p
  JOIN catalog_table t USING (table_id)
  LEFT JOIN chunk c USING (chunk_id)
  LEFT JOIN worker w ON w.worker_id = p.worker_id
 WHERE p.segment_id = ANY (%(segment_ids)s::bigint[])
 ORDER BY p.part_id;
