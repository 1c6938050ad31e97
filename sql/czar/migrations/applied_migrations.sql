-- sql/czar/migrations/applied_migrations.sql
-- The migrations that this registry has.
-- Parameters: none.   Returns: number, name, sha256, in order.   Used by: registry.migrations
SELECT number, name, sha256 FROM schema_migration ORDER BY number;
