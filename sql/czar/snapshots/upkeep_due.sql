-- sql/czar/snapshots/upkeep_due.sql
-- The published databases that a shard has not followed to the present snapshot, or that have retired segments.
-- Parameters: none.   Returns: name.   Used by: czar.cluster_servers
SELECT d.name
  FROM catalog_database d
 WHERE d.snapshot_number IS NOT NULL
   AND (EXISTS (SELECT FROM worker w
                 WHERE NOT EXISTS (SELECT FROM shard_snapshot s
                                    WHERE s.worker_id = w.worker_id AND s.database_id = d.database_id
                                      AND s.number >= d.snapshot_number))
        OR EXISTS (SELECT FROM segment g JOIN catalog_table t USING (table_id)
                    WHERE t.database_id = d.database_id AND g.retired IS NOT NULL))
 ORDER BY d.name;
