-- sql/worker/reader.sql
-- The role of the czar's chunk queries: it reads and changes nothing. Its password is set apart, as a verifier.
-- Parameters: none.   Returns: nothing.   Used by: workers.server_setup (once for each server)
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'qserv_reader') THEN
        CREATE ROLE qserv_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
END
$$;
ALTER ROLE qserv_reader SET default_transaction_read_only = on;
