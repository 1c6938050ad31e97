-- sql/czar/identity/tokens.sql
-- One access token, or all of them, oldest first, when token_id is NULL.
-- Parameters: token_id (text).   Returns: one row each.   Used by: registry.tokens
SELECT token_id, sha256, user_name, groups, note, created_at, expires_at, used_at, revoked_at,
       coalesce(expires_at <= now(), false), coalesce(used_at > now() - interval '1 minute', false)
  FROM access_token
 WHERE %(token_id)s::text IS NULL OR token_id = %(token_id)s::text
 ORDER BY created_at, token_id;
