-- sql/czar/queries/sweep_queries.sql
-- Of a process whose lock nobody holds: take away its rows when that was seen a while ago, else note it.
-- Parameters: czar (text), grace_s (double precision).   Returns: the number of rows that stay.
-- Used by: registry.queries.sweep_queries
WITH gone AS (
    DELETE FROM query
     WHERE czar = %(czar)s::text AND lost_at < now() - make_interval(secs => %(grace_s)s::float8)
), noted AS (
    UPDATE query SET lost_at = now() WHERE czar = %(czar)s::text AND lost_at IS NULL
)
SELECT count(*) FROM query
 WHERE czar = %(czar)s::text
   AND (lost_at IS NULL OR lost_at >= now() - make_interval(secs => %(grace_s)s::float8));
