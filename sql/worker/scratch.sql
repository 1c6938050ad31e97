-- sql/worker/scratch.sql
-- Where the czar puts rows that a query brings to the shard, each in a table of its own for the time of the query, and
-- the sweep that removes the tables of czars that are no more. A table's name begins with the number of its czar; a
-- living czar holds the advisory lock of its number.
-- Parameters: none.   Returns: nothing.   Used by: workers.server_setup (at every start)
CREATE SCHEMA IF NOT EXISTS qserv_scratch;
COMMENT ON SCHEMA qserv_scratch IS 'Rows that running queries brought along; nothing here outlives its query.';
CREATE OR REPLACE FUNCTION qserv.sweep_scratch() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found record;
    swept bigint := 0;
BEGIN
    SET LOCAL lock_timeout = '1s';
    FOR found IN SELECT relname, ('x' || substr(relname, 2, 8))::bit(32)::int AS czar
                   FROM pg_class WHERE relnamespace = 'qserv_scratch'::regnamespace AND relkind = 'r'
                                   AND relname ~ '^q[0-9a-f]{8}_' ORDER BY relname LOOP
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtext('qserv scratch'), found.czar);
        BEGIN
            EXECUTE format('DROP TABLE IF EXISTS qserv_scratch.%I', found.relname);
            swept := swept + 1;
        EXCEPTION WHEN lock_not_available THEN
            NULL;  -- a statement of the dead czar still reads it: the next sweep takes it
        END;
    END LOOP;
    RETURN swept;
END
$$;
