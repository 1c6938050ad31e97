-- sql/worker/schema.sql
-- The schema of our functions and book-keeping on a shard, and what the reader may do there.
-- Parameters: none.   Returns: nothing.   Used by: workers.server_setup (at every start, before the other scripts)
CREATE SCHEMA IF NOT EXISTS qserv;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA qserv TO qserv_reader;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO qserv_reader;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO qserv_reader;
