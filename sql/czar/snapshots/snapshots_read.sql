-- sql/czar/snapshots/snapshots_read.sql
-- The oldest snapshot of a database that a process reads (the present one when none does), and the present one.
-- Parameters: database (text).   Returns: one row, with NULL when nothing is published, or none.
-- Used by: registry.snapshots
SELECT least(d.snapshot_number, (SELECT min(r.number) FROM snapshot_reader r WHERE r.database_id = d.database_id)),
       d.snapshot_number
  FROM catalog_database d
 WHERE d.name = %(database)s::text;
