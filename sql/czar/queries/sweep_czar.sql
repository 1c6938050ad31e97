-- sql/czar/queries/sweep_czar.sql
-- Of a process whose lock nobody holds: take away its rows when that was seen a while ago, else note it.
-- Parameters: czar (text), grace_s (double precision).   Returns: the number of rows that stay.
-- Used by: registry.queries.sweep_czars
WITH late AS (
    SELECT now() - make_interval(secs => %(grace_s)s::float8) AS moment
), ended AS (
    DELETE FROM query USING late WHERE czar = %(czar)s::text AND lost_at < moment
), read AS (
    DELETE FROM snapshot_reader USING late WHERE czar = %(czar)s::text AND lost_at < moment
), noted AS (
    UPDATE query SET lost_at = now() WHERE czar = %(czar)s::text AND lost_at IS NULL
), noted_too AS (
    UPDATE snapshot_reader SET lost_at = now() WHERE czar = %(czar)s::text AND lost_at IS NULL
)
SELECT (SELECT count(*) FROM query, late WHERE czar = %(czar)s::text AND (lost_at IS NULL OR lost_at >= moment))
     + (SELECT count(*) FROM snapshot_reader, late
         WHERE czar = %(czar)s::text AND (lost_at IS NULL OR lost_at >= moment));
