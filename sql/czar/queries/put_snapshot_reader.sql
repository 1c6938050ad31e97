-- sql/czar/queries/put_snapshot_reader.sql
-- Write down that a process may read a snapshot of a database.
-- Parameters: czar (text), database_id, number (integer).   Returns: nothing.   Used by: registry.queries.put_reader
INSERT INTO snapshot_reader (czar, database_id, number)
VALUES (%(czar)s::text, %(database_id)s::integer, %(number)s::integer)
    ON CONFLICT (czar, database_id, number) DO UPDATE SET lost_at = NULL;
