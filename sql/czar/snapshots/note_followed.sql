-- sql/czar/snapshots/note_followed.sql
-- Write down that a shard's parents and views have followed a snapshot of a database.
-- Parameters: database, worker (text), number (integer).   Returns: nothing.
-- Used by: registry.snapshots.note_followed
INSERT INTO shard_snapshot (worker_id, database_id, number)
SELECT w.worker_id, d.database_id, %(number)s::integer
  FROM worker w
  JOIN catalog_database d ON d.name = %(database)s::text
 WHERE w.name = %(worker)s::text
    ON CONFLICT (worker_id, database_id) DO UPDATE SET number = excluded.number;
