-- sql/czar/identity/revoke_token.sql
-- Make an access token useless; one that was revoked before keeps its time.
-- Parameters: token_id (text).   Returns: nothing.   Used by: registry.tokens.revoke_token
UPDATE access_token SET revoked_at = coalesce(revoked_at, now()) WHERE token_id = %(token_id)s::text;
