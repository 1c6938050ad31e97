-- sql/worker/functions.sql
-- The functions that chunk queries call. Plain SQL and PL/pgSQL, so that any PostgreSQL >= 15 can be a worker.
-- Angles in degrees. Positions are computed the same way here and in the czar's DuckDB (sql/czar/merge/merge_functions.sql).
-- Parameters: none.   Returns: nothing.   Used by: workers.server_setup (every start; every statement can be repeated)
CREATE SCHEMA IF NOT EXISTS qserv;

-- An angle, in degrees, with next to nothing made nothing: PostgreSQL calls a product too small for a double an error.
CREATE OR REPLACE FUNCTION qserv.calm(x float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN abs(x) < 1e-30 THEN 0 ELSE x END $$;

-- Whether numbers are a place on the sky. What is none has no sine in PostgreSQL, which would end the whole query.
CREATE OR REPLACE FUNCTION qserv.is_place(ra float8, "dec" float8) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT "dec" BETWEEN -90 AND 90 AND abs(ra) < 1e300 $$;

-- Angle between two positions by the haversine formula, exact down to milliarcseconds and below.
CREATE OR REPLACE FUNCTION qserv.distance(ra1 float8, dec1 float8, ra2 float8, dec2 float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN qserv.is_place(ra1, dec1) AND qserv.is_place(ra2, dec2) THEN degrees(2 * asin(least(1.0::float8, sqrt(
        sin(radians(qserv.calm(dec2 - dec1)) / 2) ^ 2
        + cos(radians(qserv.calm(dec1))) * cos(radians(qserv.calm(dec2))) * sin(radians(qserv.calm(ra2 - ra1)) / 2) ^ 2)))) END
$$;

-- Whether a position lies within radius of a centre, the border included.
CREATE OR REPLACE FUNCTION qserv.in_circle(ra float8, "dec" float8, ra0 float8, dec0 float8, radius float8)
    RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN qserv.is_place(ra, "dec") AND qserv.is_place(ra0, dec0) AND radius >= 0 AND radius < 'Infinity'
        THEN degrees(2 * asin(least(1.0::float8, sqrt(
            sin(radians(qserv.calm(dec0 - "dec")) / 2) ^ 2
            + cos(radians(qserv.calm("dec"))) * cos(radians(qserv.calm(dec0))) * sin(radians(qserv.calm(ra0 - ra)) / 2) ^ 2)))) <= radius END
$$;

-- Whether a position lies in ADQL's BOX: the angles along the two great circles that are the arms of its cross.
CREATE OR REPLACE FUNCTION qserv.in_box(ra float8, "dec" float8, ra0 float8, dec0 float8, width float8, height float8)
    RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN qserv.is_place(ra, "dec") AND qserv.is_place(ra0, dec0)
                     AND width >= 0 AND width < 180 AND height >= 0 AND height < 180 THEN
           CASE WHEN 2 * abs(degrees(atan2(
               cos(radians(qserv.calm("dec"))) * sin(radians(qserv.calm(ra - ra0))),
               cos(radians(qserv.calm(dec0))) * cos(radians(qserv.calm("dec"))) * cos(radians(qserv.calm(ra - ra0))) + sin(radians(qserv.calm(dec0))) * sin(radians(qserv.calm("dec")))
           ))) <= width
           THEN 2 * abs(degrees(atan2(
               cos(radians(qserv.calm(dec0))) * sin(radians(qserv.calm("dec"))) - sin(radians(qserv.calm(dec0))) * cos(radians(qserv.calm("dec"))) * cos(radians(qserv.calm(ra - ra0))),
               cos(radians(qserv.calm(dec0))) * cos(radians(qserv.calm("dec"))) * cos(radians(qserv.calm(ra - ra0))) + sin(radians(qserv.calm(dec0))) * sin(radians(qserv.calm("dec")))
           ))) <= height ELSE false END END
$$;

-- Whether a position lies in a polygon that a hemisphere around (ra0, dec0) holds. Great circles are straight lines in
-- the gnomonic plane around (ra0, dec0), so the vertices come as plane coordinates xs, ys and the test is the plane's
-- crossing number; who stands on a side, as far as rounding lets one tell, is inside.
CREATE OR REPLACE FUNCTION qserv.in_polygon(
    ra float8, "dec" float8, ra0 float8, dec0 float8, xs float8[], ys float8[]
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    depth float8;
    x float8;
    y float8;
    near float8;
    inside boolean := false;
    j integer := array_length(xs, 1);
BEGIN
    IF qserv.is_place(ra, "dec") IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    depth := cos(radians(qserv.calm(dec0))) * cos(radians(qserv.calm("dec"))) * cos(radians(qserv.calm(ra - ra0)))
             + sin(radians(qserv.calm(dec0))) * sin(radians(qserv.calm("dec")));
    IF depth <= 1e-12 THEN
        RETURN false;
    END IF;
    x := cos(radians(qserv.calm("dec"))) * sin(radians(qserv.calm(ra - ra0))) / depth;
    y := (cos(radians(qserv.calm(dec0))) * sin(radians(qserv.calm("dec"))) - sin(radians(qserv.calm(dec0))) * cos(radians(qserv.calm("dec"))) * cos(radians(qserv.calm(ra - ra0))))
         / depth;
    near := 2e-13 * (1 + qserv.calm(x) * qserv.calm(x) + qserv.calm(y) * qserv.calm(y));
    FOR i IN 1 .. array_length(xs, 1) LOOP
        IF abs(qserv.calm(xs[j] - xs[i]) * qserv.calm(y - ys[i]) - qserv.calm(ys[j] - ys[i]) * qserv.calm(x - xs[i]))
               <= near * (abs(xs[j] - xs[i]) + abs(ys[j] - ys[i]))
           AND x BETWEEN least(xs[i], xs[j]) - near AND greatest(xs[i], xs[j]) + near
           AND y BETWEEN least(ys[i], ys[j]) - near AND greatest(ys[i], ys[j]) + near THEN
            RETURN true;
        END IF;
        IF (ys[i] > y) <> (ys[j] > y)
           AND x < (xs[j] - xs[i]) * (y - ys[i]) / (ys[j] - ys[i]) + xs[i] THEN
            inside := NOT inside;
        END IF;
        j := i;
    END LOOP;
    RETURN inside;
END
$$;

-- Areas of a circle and of a box, square degrees: a box is the solid angle of a pyramid with those angles at its tip.
CREATE OR REPLACE FUNCTION qserv.area_of_circle(radius float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN radius >= 0 AND radius < 'Infinity'
                THEN degrees(degrees(4 * pi() * sin(radians(qserv.calm(least(radius, 180))) / 2) ^ 2)) END
$$;

CREATE OR REPLACE FUNCTION qserv.area_of_box(width float8, height float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN width >= 0 AND width < 180 AND height >= 0 AND height < 180
                THEN degrees(degrees(4 * asin(sin(radians(qserv.calm(width)) / 2) * sin(radians(qserv.calm(height)) / 2)))) END
$$;

-- Remainder of a division, for doubles; the sign is that of a.
CREATE OR REPLACE FUNCTION qserv.mod(a float8, b float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT a - b * trunc(a / b) $$;

-- Ten to the power of n, or the nearest power of ten that is a number when n is beyond all of them.
CREATE OR REPLACE FUNCTION qserv.ten_to(n bigint) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT power(10::float8, greatest(least(n, 308), -308)) $$;

-- Whether a number has no digit behind its n-th decimal, as it is too large for that, or infinite, or NaN.
CREATE OR REPLACE FUNCTION qserv.ends_before(a float8, n bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT abs(a) >= 'Infinity' OR n > 308 OR abs(a) > 1.7976931348623157e308 / qserv.ten_to(greatest(n, 0))
$$;

-- Whether a number is 0 to n decimals before the point at the latest, so that it need not be multiplied.
CREATE OR REPLACE FUNCTION qserv.begins_behind(a float8, n bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT n < -308 OR (n < 0 AND abs(a) < 0.1) $$;

-- Rounded to n decimals, halves to the even digit. Powers and products that no double holds are not computed: what is
-- too large for them stays as it is, what is too small is 0.
CREATE OR REPLACE FUNCTION qserv.round_to(a float8, n bigint) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN n IS NULL THEN NULL
                WHEN qserv.ends_before(a, n) THEN a
                WHEN qserv.begins_behind(a, n) THEN 0 * a
                ELSE round(a * qserv.ten_to(n)) / qserv.ten_to(n) END
$$;

-- Cut to n decimals.
CREATE OR REPLACE FUNCTION qserv.truncate_to(a float8, n bigint) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN n IS NULL THEN NULL
                WHEN qserv.ends_before(a, n) THEN a
                WHEN qserv.begins_behind(a, n) THEN 0 * a
                ELSE trunc(a * qserv.ten_to(n)) / qserv.ten_to(n) END
$$;

-- A time as adql.casts has them; its fraction is cut after six digits. Any other text fails.
CREATE OR REPLACE FUNCTION qserv.to_time(t text) RETURNS timestamp
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN btrim(t) ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?Z?)?$'
                THEN CAST(regexp_replace(btrim(t), '(\.[0-9]{6})[0-9]+', '\1') AS timestamp)
                ELSE CAST('no time: ' || t AS timestamp) END
$$;

-- A text that is to be cast to a number; what is none becomes a text that no cast takes. Versions of PostgreSQL differ in
-- what they take themselves: 0x1F, 1_000.
CREATE OR REPLACE FUNCTION qserv.whole_number(t text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN btrim(t, E' \t\n\v\f\r') ~ '^[+-]?[0-9]+$' THEN t ELSE 'no whole number: ' || t END
$$;

CREATE OR REPLACE FUNCTION qserv.number(t text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN lower(btrim(t, E' \t\n\v\f\r'))
                     ~ '^([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?|nan)$'
                THEN t ELSE 'no number: ' || t END
$$;
