-- sql/worker/catalogue_functions.sql
-- The functions of sciSQL, of Gaia's archive and of the IVOA's catalogue that chunk queries call.
-- The same arithmetic and the same errors stand in sql/czar/merge/merge_catalogue.sql.
-- Parameters: none.   Returns: nothing.   Used by: workers.server_setup (every start; every statement can be repeated)

-- Product and quotient of numbers that are not negative: NULL where it is too large for a double, 0 where it is too
-- small. PostgreSQL's own operators end the query there.
CREATE OR REPLACE FUNCTION qserv.product(a float8, b float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN b = 0 OR (b < 1 AND a < 5e-324::float8 / b) THEN 0
                WHEN b <= 1 OR a <= 1.797693134862315e308::float8 / b THEN a * b END
$$;

CREATE OR REPLACE FUNCTION qserv.quotient(a float8, b float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN a = 0 OR (b > 1 AND a < 5e-324::float8 * b) THEN 0
                WHEN b >= 1 OR a <= 1.797693134862315e308::float8 * b THEN a / b END
$$;

-- Ten to the power of x, likewise.
CREATE OR REPLACE FUNCTION qserv.power_of_ten(x float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN x < -323.6 THEN 0 WHEN x <= 308.2547155599167 THEN power(10::float8, x) END
$$;

-- AB magnitude of a flux; zero is the magnitude of flux 1.
CREATE OR REPLACE FUNCTION qserv.ab_mag(flux float8, zero float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN flux > 0 AND flux < 'Infinity' THEN -2.5::float8 * log(flux) + zero END
$$;

-- Error of an AB magnitude: 2.5 / ln(10) times the relative error of the flux. zero is not used.
CREATE OR REPLACE FUNCTION qserv.ab_mag_sigma(flux float8, sigma float8, zero float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN flux > 0 AND flux < 'Infinity' AND sigma >= 0 AND sigma < 'Infinity'
                THEN qserv.quotient(qserv.product(sigma, 1.0857362047581296::float8), flux) END
$$;

-- Flux of an AB magnitude.
CREATE OR REPLACE FUNCTION qserv.ab_flux(mag float8, zero float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN mag > '-Infinity' AND mag < 'Infinity'
                THEN qserv.power_of_ten(-0.4::float8 * (mag - zero)) END
$$;

-- Error of that flux: ln(10) / 2.5 times flux and error of the magnitude.
CREATE OR REPLACE FUNCTION qserv.ab_flux_sigma(mag float8, sigma float8, zero float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN mag > '-Infinity' AND mag < 'Infinity' AND sigma >= 0 AND sigma < 'Infinity'
                THEN qserv.product(sigma, qserv.product(qserv.power_of_ten(-0.4::float8 * (mag - zero)), 0.9210340371976183::float8)) END
$$;

-- 1 when [a, b] and [c, d] have a point in common, else 0.
CREATE OR REPLACE FUNCTION qserv.interval_overlaps(a float8, b float8, c float8, d float8) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE WHEN a <= b AND c <= d AND a <= d AND c <= b THEN 1 ELSE 0 END
$$;

-- An angle brought to [0, 360); NULL when it is none.
CREATE OR REPLACE FUNCTION qserv.turn(angle float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(angle) < 1e300 THEN angle - 360 * floor(qserv.calm(angle) / 360) END
$$;

-- Whether a position is in sciSQL's ellipse: semi-axes in arcseconds, position angle in degrees, east of north. A
-- position and its antipode are not told apart.
CREATE OR REPLACE FUNCTION qserv.in_ellipse(
    ra float8, "dec" float8, ra0 float8, dec0 float8, major float8, minor float8, angle float8
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    lon float8;
    lat float8;
    north float8;
    east float8;
    x float8;
    y float8;
BEGIN
    IF NOT qserv.is_place(ra, "dec") THEN
        RETURN NULL;
    END IF;
    lon := radians(qserv.calm(ra - ra0));
    lat := radians(qserv.calm("dec"));
    north := qserv.calm(cos(radians(dec0)) * sin(lat) - sin(radians(dec0)) * cos(lat) * cos(lon));
    east := qserv.calm(cos(lat) * sin(lon));
    x := qserv.calm(sin(radians(angle)) * east + cos(radians(angle)) * north);
    y := qserv.calm(cos(radians(angle)) * east - sin(radians(angle)) * north);
    RETURN (x * radians(minor / 3600)) ^ 2 + (y * radians(major / 3600)) ^ 2
           <= (radians(major / 3600) * radians(minor / 3600)) ^ 2;
END
$$;

-- The bits of a 29-bit number with a zero before each.
CREATE OR REPLACE FUNCTION qserv.spread_bits(n bigint) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    x bigint := (n | (n << 16)) & 281470681808895;
BEGIN
    x := (x | (x << 8)) & 71777214294589695;
    x := (x | (x << 4)) & 1085102592571150095;
    x := (x | (x << 2)) & 3689348814741910323;
    RETURN (x | (x << 1)) & 6148914691236517205;
END
$$;

-- The HEALPix cell (NESTED) that holds a position; NULL when it is no place on the sky, or there is no such order. Gorski et al. 2005, ApJ 622, 759.
CREATE OR REPLACE FUNCTION qserv.healpix_index(cell_order bigint, ra float8, "dec" float8) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    nside bigint;
    z float8;
    za float8;
    turns float8;
    quarter bigint;
    reach float8;
    ascending bigint;
    descending bigint;
    face bigint;
    ix bigint;
    iy bigint;
BEGIN
    IF cell_order NOT BETWEEN 0 AND 29 OR NOT qserv.is_place(ra, "dec") THEN
        RETURN NULL;
    END IF;
    nside := 1::bigint << cell_order::integer;
    z := sin(radians(qserv.calm("dec")));
    za := abs(z);
    turns := radians(qserv.calm(ra)) * 0.6366197723675814::float8;
    turns := turns - 4 * floor(turns / 4);
    IF turns >= 4 THEN
        turns := 0;
    END IF;
    IF za <= 2::float8 / 3 THEN
        reach := nside * (0.5::float8 + turns);
        ascending := floor(reach - nside * (z * 0.75::float8))::bigint;
        descending := floor(reach + nside * (z * 0.75::float8))::bigint;
        face := (ascending >> cell_order::integer);
        quarter := (descending >> cell_order::integer);
        face := CASE WHEN face = quarter THEN face | 4 WHEN face < quarter THEN face ELSE quarter + 8 END;
        ix := descending & (nside - 1);
        iy := nside - 1 - (ascending & (nside - 1));
    ELSE
        quarter := least(3, floor(turns)::bigint);
        reach := CASE WHEN za > 0.99 THEN nside * cos(radians("dec")) / sqrt((1 + za) / 3)
                      ELSE nside * sqrt(3 * (1 - za)) END;
        ascending := least(floor((turns - quarter) * reach)::bigint, nside - 1);
        descending := least(floor((1 - (turns - quarter)) * reach)::bigint, nside - 1);
        IF z >= 0 THEN
            face := quarter;
            ix := nside - 1 - descending;
            iy := nside - 1 - ascending;
        ELSE
            face := quarter + 8;
            ix := ascending;
            iy := descending;
        END IF;
    END IF;
    RETURN (face << (2 * cell_order)::integer) | qserv.spread_bits(ix) | (qserv.spread_bits(iy) << 1);
END
$$;

-- The cell that a source_id of Gaia names: its bits from 35 on are a cell of order 12.
CREATE OR REPLACE FUNCTION qserv.gaia_healpix_index(cell_order bigint, source_id bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN cell_order BETWEEN 0 AND 12 THEN source_id >> (59 - 2 * cell_order)::integer END
$$;

-- Degrees of an angle written in sixtieths; NULL when the text is none. unit is the letter that may follow the first
-- field, h or d. Six digits before the point are three fields.
CREATE OR REPLACE FUNCTION qserv.sexagesimal(written text, unit text, per_degree float8) RETURNS float8
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    parts text[] := regexp_match(written,
        '(?i)^[ \t\n\f\r]*([+-]?)(?:([0-9]{1,3})(?:[ \t\n\f\r]*[:' || unit || '][ \t\n\f\r]*|[ \t\n\f\r]+)([0-9]{1,2})'
        '(?:[ \t\n\f\r]*[:m''][ \t\n\f\r]*|[ \t\n\f\r]+)([0-9]{1,2}(?:\.[0-9]*)?)[s"]?'
        '|([0-9]{2})([0-9]{2})([0-9]{2}(?:\.[0-9]*)?))[ \t\n\f\r]*$');
    whole float8 := coalesce(parts[2], parts[5])::float8;
    minutes float8 := coalesce(parts[3], parts[6])::float8;
    seconds float8 := left(coalesce(parts[4], parts[7]), 40)::float8;
BEGIN
    IF minutes >= 60 OR seconds >= 60 OR (per_degree = 240 AND (parts[1] = '-' OR whole >= 24)) THEN
        RETURN NULL;
    END IF;
    RETURN CASE WHEN parts[1] = '-' THEN -1 ELSE 1 END * ((whole * 3600 + minutes * 60 + seconds) / per_degree);
END
$$;

CREATE OR REPLACE FUNCTION qserv.hms_to_degrees(written text) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT qserv.sexagesimal(written, 'h', 240) $$;

CREATE OR REPLACE FUNCTION qserv.dms_to_degrees(written text) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT qserv.sexagesimal(written, 'd', 3600) $$;

-- 1 when a text is like a pattern, letters of ASCII folded, else 0.
CREATE OR REPLACE FUNCTION qserv.nocasematch(t text, pattern text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT (t ILIKE pattern ESCAPE '')::integer $$;

-- The words of a text: what ASCII's spaces, controls and punctuation separate, letters of ASCII folded.
CREATE OR REPLACE FUNCTION qserv.words(t text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_to_array(btrim(regexp_replace(lower(t), '[\x01-/:-@\[-`{-\x7f]+', ' ', 'g'), ' '), ' ')
$$;

-- 1 when every word of the second text is one of the first, else 0.
CREATE OR REPLACE FUNCTION qserv.hasword(haystack text, needle text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT (qserv.words(haystack) @> qserv.words(needle))::integer
$$;

-- 1 when a word is in a list of words separated by #, letters of ASCII folded; 0 for a word that holds a #.
CREATE OR REPLACE FUNCTION qserv.hashlist_has(list text, item text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT (strpos(item, '#') = 0 AND strpos('#' || lower(list) || '#', '#' || lower(item) || '#') > 0)::integer
$$;

-- Number of the bin, 1 to n, of n of one width from a to b that holds x; 0 and n + 1 beyond them. The borders may fall.
-- PostgreSQL has the same function, but its versions round differently at the borders of bins.
CREATE OR REPLACE FUNCTION qserv.width_bucket(x float8, a float8, b float8, n bigint) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
BEGIN
    IF n < 1 OR n > 2147483646 OR a = b OR x = 'NaN' OR a IN ('NaN', 'Infinity', '-Infinity')
       OR b IN ('NaN', 'Infinity', '-Infinity') THEN
        RAISE data_exception USING MESSAGE = 'bins need a number, two finite borders and at least one bin';
    END IF;
    IF (a < b AND x < a) OR (a > b AND x > a) THEN
        RETURN 0;
    ELSIF (a < b AND x >= b) OR (a > b AND x <= b) THEN
        RETURN n + 1;
    END IF;
    RETURN least(n, floor(n * ((x / 2 - a / 2) / (b / 2 - a / 2))) + 1);
END
$$;

-- How many values stand in each of the bins 0 to n + 1 of width_bucket; NaN counts as the largest number, NULL as one
-- below the first border, as the IVOA's catalogue says.
CREATE OR REPLACE FUNCTION qserv.histogram_step(counts bigint[], x float8, a float8, b float8, n bigint)
    RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    bin integer := CASE WHEN x IS NULL THEN 1 WHEN x = 'NaN' THEN n + 2 ELSE qserv.width_bucket(x, a, b, n) + 1 END;
BEGIN
    IF counts IS NULL THEN
        counts := array_fill(0::bigint, ARRAY[n::integer + 2]);
    END IF;
    counts[bin] := counts[bin] + 1;
    RETURN counts;
END
$$;

CREATE OR REPLACE AGGREGATE qserv.histogram(x float8, a float8, b float8, n bigint) (
    SFUNC = qserv.histogram_step, STYPE = bigint[], PARALLEL = SAFE
);
