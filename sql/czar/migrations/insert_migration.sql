-- sql/czar/migrations/insert_migration.sql
-- Record a migration, in the PostgreSQL transaction that applies it.
-- Parameters: number (integer), name (text), sha256 (text).   Returns: nothing.   Used by: registry.migrations
INSERT INTO schema_migration (number, name, sha256)
VALUES (%(number)s::integer, %(name)s::text, %(sha256)s::text);
