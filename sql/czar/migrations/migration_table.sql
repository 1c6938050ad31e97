-- sql/czar/migrations/migration_table.sql
-- The record of applied migrations; made before the first one.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
