-- sql/migrations/0003_pre_identity.sql
-- Who may read a database, and the access tokens that the czar itself gives out. What was there stays public.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
CREATE TABLE database_grant (
    database_id integer NOT NULL REFERENCES catalog_database ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('public', 'authenticated', 'group', 'user')),
    name text NOT NULL CHECK ((name <> '') = (kind IN ('group', 'user'))),
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (database_id, kind, name)
);
COMMENT ON TABLE database_grant IS 'Who may read a database; no row: only the operator.';
INSERT INTO database_grant (database_id, kind, name) SELECT database_id, 'public', '' FROM catalog_database;

CREATE TABLE access_token (
    token_id text PRIMARY KEY CHECK (token_id ~ '^[0-9a-f]{12}$'),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    user_name text NOT NULL CHECK (user_name <> ''),
    groups text[] NOT NULL,
    note text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    used_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON COLUMN access_token.token_id IS 'The part of the token that is no secret: it finds the row.';
COMMENT ON COLUMN access_token.sha256 IS 'Of the whole token, which has 256 random bits: no slow hash is needed.';
COMMENT ON COLUMN access_token.used_at IS 'Last use, to about a minute.';
