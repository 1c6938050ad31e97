-- sql/czar/snapshots/followed_snapshot.sql
-- The last snapshot of a database that a shard's parents and views have followed.
-- Parameters: database, worker (text).   Returns: one row, or none.   Used by: registry.snapshots.followed_snapshot
SELECT s.number
  FROM shard_snapshot s
  JOIN catalog_database d USING (database_id)
  JOIN worker w USING (worker_id)
 WHERE d.name = %(database)s::text AND w.name = %(worker)s::text;
