-- sql/worker/bookkeeping.sql
-- What the row store of a shard holds: each load of a part into a relation, recorded in the transaction of its rows.
-- Parameters: none.   Returns: nothing.   Used by: workers.server_setup (at every start)
CREATE TABLE IF NOT EXISTS qserv.loaded_part (
    schema_name text NOT NULL,
    relation text NOT NULL,
    part_id bigint NOT NULL,
    rows bigint NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, relation, part_id)
);
COMMENT ON TABLE qserv.loaded_part IS 'A part is loaded into a relation once; its row here commits with its rows.';
DROP TABLE IF EXISTS qserv.superseded;  -- of earlier versions; the registry says what is retired
