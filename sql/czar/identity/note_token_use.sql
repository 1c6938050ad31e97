-- sql/czar/identity/note_token_use.sql
-- Write down that an access token was used, at most once a minute: reading must not cost a write each time.
-- Parameters: token_id (text).   Returns: nothing.   Used by: registry.tokens.note_use
UPDATE access_token
   SET used_at = now()
 WHERE token_id = %(token_id)s::text AND (used_at IS NULL OR used_at < now() - interval '1 minute');
