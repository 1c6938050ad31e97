-- sql/migrations/0004_pre_user_tables.sql
-- Tables that users keep, and with whom they share them. The rows stand in files of the czar.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
CREATE TABLE user_table (
    user_table_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL CHECK (owner <> ''),
    name text NOT NULL CHECK (name <> ''),
    file text NOT NULL UNIQUE,
    rows bigint NOT NULL CHECK (rows >= 0),
    bytes bigint NOT NULL CHECK (bytes >= 0),
    columns jsonb NOT NULL,
    description text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX user_table_name ON user_table (owner, lower(name));
COMMENT ON COLUMN user_table.file IS 'Below the czar''s directory; a file that no row names is swept.';

CREATE TABLE user_table_share (
    user_table_id bigint NOT NULL REFERENCES user_table ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('group', 'user')),
    name text NOT NULL CHECK (name <> ''),
    PRIMARY KEY (kind, name, user_table_id)
);
CREATE INDEX user_table_share_table ON user_table_share (user_table_id);
