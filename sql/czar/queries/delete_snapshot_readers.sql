-- sql/czar/queries/delete_snapshot_readers.sql
-- Write down that a process reads some snapshots no more.
-- Parameters: czar (text); arrays of one element a snapshot: database_ids, numbers (integer[]).   Returns: nothing.
-- Used by: registry.queries.delete_readers
DELETE FROM snapshot_reader
 WHERE czar = %(czar)s::text
   AND (database_id, number) IN (SELECT * FROM unnest(%(database_ids)s::integer[], %(numbers)s::integer[]));
