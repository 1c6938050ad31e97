-- sql/czar/identity/insert_token.sql
-- Write down a new access token.
-- Parameters: token_id, user, note (text), sha256 (bytea), groups (text[]), lifetime (interval; NULL for no end).
-- Returns: nothing.   Used by: registry.tokens.add_token
INSERT INTO access_token (token_id, sha256, user_name, groups, note, expires_at)
VALUES (%(token_id)s::text, %(sha256)s::bytea, %(user)s::text, %(groups)s::text[], %(note)s::text,
        now() + %(lifetime)s::interval);
