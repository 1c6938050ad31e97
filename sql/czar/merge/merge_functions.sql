-- sql/czar/merge/merge_functions.sql
-- The functions of sql/worker/functions.sql for the czar's DuckDB, with the same arithmetic, and PostgreSQL's meaning
-- of division. DuckDB's dialect; every statement can be repeated.
-- Parameters: none.   Returns: nothing.   Used by: executor.merge
CREATE OR REPLACE MACRO qserv_is_place(ra, "dec") AS "dec" BETWEEN -90 AND 90 AND abs(ra) < 1e300;

CREATE OR REPLACE MACRO qserv_distance(ra1, dec1, ra2, dec2) AS
    CASE WHEN qserv_is_place(ra1, dec1) AND qserv_is_place(ra2, dec2) THEN degrees(2 * asin(least(1.0::DOUBLE, sqrt(
        pow(sin(radians(dec2 - dec1) / 2), 2)
        + cos(radians(dec1)) * cos(radians(dec2)) * pow(sin(radians(ra2 - ra1) / 2), 2))))) END;

CREATE OR REPLACE MACRO qserv_in_circle(ra, "dec", ra0, dec0, radius) AS
    CASE WHEN radius >= 0 AND radius < 'Infinity'::DOUBLE THEN qserv_distance(ra, "dec", ra0, dec0) <= radius END;

CREATE OR REPLACE MACRO qserv_in_box(ra, "dec", ra0, dec0, width, height) AS
    CASE WHEN qserv_is_place(ra, "dec") AND qserv_is_place(ra0, dec0)
              AND width >= 0 AND width < 180 AND height >= 0 AND height < 180 THEN
    CASE WHEN 2 * abs(degrees(atan2(
        cos(radians("dec")) * sin(radians(ra - ra0)),
        cos(radians(dec0)) * cos(radians("dec")) * cos(radians(ra - ra0)) + sin(radians(dec0)) * sin(radians("dec"))
    ))) <= width
    THEN 2 * abs(degrees(atan2(
        cos(radians(dec0)) * sin(radians("dec")) - sin(radians(dec0)) * cos(radians("dec")) * cos(radians(ra - ra0)),
        cos(radians(dec0)) * cos(radians("dec")) * cos(radians(ra - ra0)) + sin(radians(dec0)) * sin(radians("dec"))
    ))) <= height ELSE false END END;

CREATE OR REPLACE MACRO qserv_area_of_circle(radius) AS
    list_transform([radius], lambda r: CASE WHEN r >= 0 AND r < 'Infinity'::DOUBLE
        THEN degrees(degrees(4 * pi() * pow(sin(radians(least(r, 180)) / 2), 2))) END)[1];

CREATE OR REPLACE MACRO qserv_area_of_box(width, height) AS
    list_transform([{'w': width, 'h': height}], lambda v:
        CASE WHEN (v).w >= 0 AND (v).w < 180 AND (v).h >= 0 AND (v).h < 180
             THEN degrees(degrees(4 * asin(sin(radians((v).w) / 2) * sin(radians((v).h) / 2)))) END)[1];

-- Depth, then plane coordinates, of a position in the gnomonic plane around (ra0, dec0).
CREATE OR REPLACE MACRO qserv_depth(ra, "dec", ra0, dec0) AS
    cos(radians(dec0)) * cos(radians("dec")) * cos(radians(ra - ra0)) + sin(radians(dec0)) * sin(radians("dec"));

CREATE OR REPLACE MACRO qserv_plane_x(ra, "dec", ra0, dec0) AS
    cos(radians("dec")) * sin(radians(ra - ra0)) / qserv_depth(ra, "dec", ra0, dec0);

CREATE OR REPLACE MACRO qserv_plane_y(ra, "dec", ra0, dec0) AS
    (cos(radians(dec0)) * sin(radians("dec")) - sin(radians(dec0)) * cos(radians("dec")) * cos(radians(ra - ra0)))
    / qserv_depth(ra, "dec", ra0, dec0);

CREATE OR REPLACE MACRO qserv_before(i, n) AS CASE WHEN i = 1 THEN n ELSE i - 1 END;

CREATE OR REPLACE MACRO qserv_crossings(x, y, xs, ys) AS
    list_sum([
        CASE WHEN (ys[i] > y) <> (ys[qserv_before(i, len(xs))] > y)
                  AND x < (xs[qserv_before(i, len(xs))] - xs[i]) * (y - ys[i])
                          / (ys[qserv_before(i, len(xs))] - ys[i]) + xs[i]
             THEN 1 ELSE 0 END
        for i in range(1, len(xs) + 1)]);

-- How many sides a position stands on, as far as rounding lets one tell.
CREATE OR REPLACE MACRO qserv_sides_at(x, y, xs, ys) AS
    list_sum([
        CASE WHEN abs((xs[qserv_before(i, len(xs))] - xs[i]) * (y - ys[i]) - (ys[qserv_before(i, len(xs))] - ys[i]) * (x - xs[i]))
                  <= 2e-13 * (1 + x * x + y * y)
                     * (abs(xs[qserv_before(i, len(xs))] - xs[i]) + abs(ys[qserv_before(i, len(xs))] - ys[i]))
                  AND x BETWEEN least(xs[i], xs[qserv_before(i, len(xs))]) - 2e-13 * (1 + x * x + y * y)
                            AND greatest(xs[i], xs[qserv_before(i, len(xs))]) + 2e-13 * (1 + x * x + y * y)
                  AND y BETWEEN least(ys[i], ys[qserv_before(i, len(xs))]) - 2e-13 * (1 + x * x + y * y)
                            AND greatest(ys[i], ys[qserv_before(i, len(xs))]) + 2e-13 * (1 + x * x + y * y)
             THEN 1 ELSE 0 END
        for i in range(1, len(xs) + 1)]);

CREATE OR REPLACE MACRO qserv_in_polygon(ra, "dec", ra0, dec0, xs, ys) AS
    CASE WHEN NOT COALESCE(qserv_is_place(ra, "dec"), false) THEN NULL
         WHEN qserv_depth(ra, "dec", ra0, dec0) <= 1e-12 THEN false
         ELSE list_transform([{'x': qserv_plane_x(ra, "dec", ra0, dec0), 'y': qserv_plane_y(ra, "dec", ra0, dec0)}],
             lambda v: qserv_crossings((v).x, (v).y, xs, ys) % 2 = 1 OR qserv_sides_at((v).x, (v).y, xs, ys) > 0)[1] END;

CREATE OR REPLACE MACRO qserv_lower(t) AS translate(t, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz');

CREATE OR REPLACE MACRO qserv_upper(t) AS translate(t, 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ');

-- Fails with a message, which the text of DuckDB's error holds after "!". DuckDB's own error() counts as volatile, and a
-- window must not be ordered by what is volatile. The value, which is not NULL, keeps it from being computed beforehand.
CREATE OR REPLACE MACRO qserv_fail(about, message) AS
    CAST('!' || message || left(CAST(about AS VARCHAR), 0) AS TINYINT);

-- Functions that fail where PostgreSQL's fail. The one-element list makes DuckDB compute each argument once, however the
-- calls are nested. Fields are written (v).name: in HAVING DuckDB reads v.name as a column.
CREATE OR REPLACE MACRO qserv_plus(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v:
        CASE WHEN isinf((v).a + (v).b) AND NOT isinf((v).a) AND NOT isinf((v).b) THEN qserv_fail((v).a, 'value out of range: overflow')
             ELSE (v).a + (v).b END)[1];

CREATE OR REPLACE MACRO qserv_minus(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v:
        CASE WHEN isinf((v).a - (v).b) AND NOT isinf((v).a) AND NOT isinf((v).b) THEN qserv_fail((v).a, 'value out of range: overflow')
             ELSE (v).a - (v).b END)[1];

CREATE OR REPLACE MACRO qserv_times(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v:
        CASE WHEN isinf((v).a * (v).b) AND NOT isinf((v).a) AND NOT isinf((v).b) THEN qserv_fail((v).a, 'value out of range: overflow')
             WHEN (v).a * (v).b = 0 AND (v).a <> 0 AND (v).b <> 0 THEN qserv_fail((v).a, 'value out of range: underflow')
             ELSE (v).a * (v).b END)[1];

CREATE OR REPLACE MACRO qserv_divide(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v:
        CASE WHEN (v).a IS NOT NULL AND NOT isnan((v).a) AND (v).b = 0 THEN qserv_fail((v).a, 'division by zero')
             WHEN isinf((v).a / (v).b) AND NOT isinf((v).a) THEN qserv_fail((v).a, 'value out of range: overflow')
             WHEN (v).a / (v).b = 0 AND (v).a <> 0 AND NOT isinf((v).b) THEN qserv_fail((v).a, 'value out of range: underflow')
             ELSE (v).a / (v).b END)[1];

-- A sum or a mean of doubles; largest is the largest of their magnitudes, an infinity or NaN where one of them is.
CREATE OR REPLACE MACRO qserv_finite(total, largest) AS
    CASE WHEN NOT isfinite(total) AND isfinite(largest) THEN qserv_fail(total, 'value out of range: overflow') ELSE total END;

-- PostgreSQL shifts whole numbers of 16 bits in 32, and only by the count modulo their size; bits that fall out at the
-- left are lost. n is the size of the answer in bits.
CREATE OR REPLACE MACRO qserv_shift_left(a, c, n) AS
    list_transform([{'x': CAST(a AS HUGEINT) * CAST(pow(2, c & (greatest(n, 32) - 1)) AS HUGEINT), 's': CAST(pow(2, n) AS HUGEINT)}],
        lambda v: ((v).x % (v).s + (v).s + (v).s // 2) % (v).s - (v).s // 2)[1];

CREATE OR REPLACE MACRO qserv_shift_right(a, c, n) AS CAST(a AS BIGINT) >> (c & (greatest(n, 32) - 1));

CREATE OR REPLACE MACRO qserv_divide_whole(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v: CASE WHEN (v).a IS NOT NULL AND (v).b = 0 THEN qserv_fail((v).a, 'division by zero') ELSE (v).a // (v).b END)[1];

CREATE OR REPLACE MACRO qserv_remainder(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v: CASE WHEN (v).a IS NOT NULL AND (v).b = 0 THEN qserv_fail((v).a, 'division by zero')
             WHEN (v).b = -1 THEN (v).a - (v).a ELSE (v).a % (v).b END)[1];

CREATE OR REPLACE MACRO qserv_mod(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v:
        qserv_minus((v).a, qserv_times((v).b, trunc(qserv_divide((v).a, (v).b)))))[1];

CREATE OR REPLACE MACRO qserv_power(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v:
        CASE WHEN (v).a = 0 AND (v).b < 0 THEN qserv_fail((v).a, 'zero raised to a negative power is undefined')
             WHEN (v).a < 0 AND (v).b <> trunc((v).b)
             THEN qserv_fail((v).a, 'a negative number raised to a non-integer power yields a complex result')
             WHEN isinf(pow((v).a, (v).b)) AND NOT isinf((v).a) AND NOT isinf((v).b) THEN qserv_fail((v).a, 'value out of range: overflow')
             WHEN pow((v).a, (v).b) = 0 AND (v).a <> 0 AND NOT isinf((v).a) AND NOT isinf((v).b)
             THEN qserv_fail((v).a, 'value out of range: underflow')
             ELSE pow((v).a, (v).b) END)[1];

CREATE OR REPLACE MACRO qserv_exp(a) AS
    list_transform([a], lambda v:
        CASE WHEN isinf(exp(v)) AND NOT isinf(v) THEN qserv_fail(v, 'value out of range: overflow')
             WHEN exp(v) = 0 AND NOT isinf(v) THEN qserv_fail(v, 'value out of range: underflow') ELSE exp(v) END)[1];

CREATE OR REPLACE MACRO qserv_ln(a) AS
    list_transform([a], lambda v:
        CASE WHEN v <= 0 THEN qserv_fail(v, 'cannot take logarithm of zero or of a negative number') ELSE ln(v) END)[1];

CREATE OR REPLACE MACRO qserv_log10(a) AS
    list_transform([a], lambda v:
        CASE WHEN v <= 0 THEN qserv_fail(v, 'cannot take logarithm of zero or of a negative number') ELSE log10(v) END)[1];

CREATE OR REPLACE MACRO qserv_sqrt(a) AS
    list_transform([a], lambda v:
        CASE WHEN v < 0 THEN qserv_fail(v, 'cannot take square root of a negative number') ELSE sqrt(v) END)[1];

CREATE OR REPLACE MACRO qserv_degrees(a) AS
    list_transform([a], lambda v:
        CASE WHEN isinf(degrees(v)) AND NOT isinf(v) THEN qserv_fail(v, 'value out of range: overflow') ELSE degrees(v) END)[1];

CREATE OR REPLACE MACRO qserv_radians(a) AS
    list_transform([a], lambda v:
        CASE WHEN radians(v) = 0 AND v <> 0 THEN qserv_fail(v, 'value out of range: underflow') ELSE radians(v) END)[1];

CREATE OR REPLACE MACRO qserv_acos(a) AS
    list_transform([a], lambda v:
        CASE WHEN isnan(v) THEN v WHEN abs(v) > 1 THEN qserv_fail(v, 'input is out of range') ELSE acos(v) END)[1];

CREATE OR REPLACE MACRO qserv_asin(a) AS
    list_transform([a], lambda v:
        CASE WHEN isnan(v) THEN v WHEN abs(v) > 1 THEN qserv_fail(v, 'input is out of range') ELSE asin(v) END)[1];

-- DuckDB answers NaN for the sine of an infinity.
CREATE OR REPLACE MACRO qserv_angle(a) AS
    list_transform([a], lambda v: CASE WHEN isinf(v) THEN qserv_fail(v, 'input is out of range') ELSE v END)[1];

-- A number that is too large to have more than n decimals stays as it is; see qserv.round_to.
CREATE OR REPLACE MACRO qserv_round_to(a, n) AS
    list_transform([{'a': a, 'n': n, 's': pow(10::DOUBLE, greatest(least(n, 308), -308))}], lambda v:
        CASE WHEN (v).n IS NULL THEN NULL
             WHEN (v).n > 308 OR isnan((v).a) OR isinf((v).a * (v).s) THEN (v).a
             WHEN (v).n < -308 THEN 0 * (v).a
             WHEN isinf(round_even((v).a * (v).s, 0) / (v).s) THEN qserv_fail((v).a, 'value out of range: overflow')
             ELSE round_even((v).a * (v).s, 0) / (v).s END)[1];

CREATE OR REPLACE MACRO qserv_truncate_to(a, n) AS
    list_transform([{'a': a, 'n': n, 's': pow(10::DOUBLE, greatest(least(n, 308), -308))}], lambda v:
        CASE WHEN (v).n IS NULL THEN NULL
             WHEN (v).n > 308 OR isnan((v).a) OR isinf((v).a * (v).s) THEN (v).a
             WHEN (v).n < -308 THEN 0 * (v).a
             WHEN isinf(trunc((v).a * (v).s) / (v).s) THEN qserv_fail((v).a, 'value out of range: overflow')
             ELSE trunc((v).a * (v).s) / (v).s END)[1];

-- Casts that PostgreSQL writes or refuses in its own way.
CREATE OR REPLACE MACRO qserv_trimmed(t) AS trim(t, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13));

CREATE OR REPLACE MACRO qserv_whole_number(t) AS
    list_transform([qserv_trimmed(t)], lambda v:
        CASE WHEN v IS NOT NULL AND NOT regexp_full_match(v, '[+-]?[0-9]+')
             THEN CAST(qserv_fail(v, 'no whole number: "' || v || '"') AS VARCHAR) ELSE v END)[1];

CREATE OR REPLACE MACRO qserv_number(t) AS
    list_transform([lower(qserv_trimmed(t))], lambda v:
        CASE WHEN v IS NOT NULL
                  AND NOT regexp_full_match(v, '[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?|nan')
             THEN CAST(qserv_fail(v, 'no number: "' || v || '"') AS VARCHAR) ELSE v END)[1];

-- x, the number that a text is, unless the text is beyond its type.
CREATE OR REPLACE MACRO qserv_bounded(t, x) AS
    list_transform([{'t': t, 'x': x}], lambda v:
        CASE WHEN isinf((v).x) AND NOT contains((v).t, 'inf') THEN qserv_fail((v).x, 'value out of range: overflow')
             WHEN (v).x = 0 AND regexp_matches((v).t, '^[^e]*[1-9]') THEN qserv_fail((v).x, 'value out of range: underflow')
             ELSE (v).x END)[1];

CREATE OR REPLACE MACRO qserv_real(x) AS
    list_transform([x], lambda v:
        CASE WHEN isinf(CAST(v AS FLOAT)) AND NOT isinf(v) THEN qserv_fail(v, 'value out of range: overflow')
             WHEN CAST(v AS FLOAT) = 0 AND v <> 0 THEN qserv_fail(v, 'value out of range: underflow')
             ELSE CAST(v AS FLOAT) END)[1];

-- The text of a number from that with the fewest digits and a power of ten, 1.25e+01; powers stay below 1e-4 and from
-- 10**most on. (From 2**53 on, of REAL from 2**24 on, PostgreSQL writes one digit more of a number in the middle.)
CREATE OR REPLACE MACRO qserv_without_power(t, most) AS
    list_transform([{'m': CASE WHEN t LIKE '-%' THEN '-' ELSE '' END,
                     'd': CASE WHEN t IS NULL THEN NULL ELSE replace(ltrim(split_part(t, 'e', 1), '-'), '.', '') END,
                     'e': TRY_CAST(split_part(t, 'e', 2) AS INTEGER)}], lambda v:
        (v).m || CASE WHEN (v).e < -4 OR (v).e >= most
             THEN (v).d[1] || CASE WHEN length((v).d) > 1 THEN '.' ELSE '' END || (v).d[2:]
                  || CASE WHEN (v).e < 0 THEN 'e-' ELSE 'e+' END || CASE WHEN abs((v).e) < 10 THEN '0' ELSE '' END
                  || CAST(abs((v).e) AS VARCHAR)
             WHEN (v).e < 0 THEN '0.' || repeat('0', -(v).e - 1) || (v).d
             WHEN length((v).d) <= (v).e + 1 THEN (v).d || repeat('0', (v).e + 1 - length((v).d))
             ELSE (v).d[:(v).e + 1] || '.' || (v).d[(v).e + 2:] END)[1];

CREATE OR REPLACE MACRO qserv_double_text(x) AS
    list_transform([x], lambda v:
        CASE WHEN isnan(v) THEN 'NaN' WHEN isinf(v) THEN CASE WHEN v > 0 THEN 'Infinity' ELSE '-Infinity' END
             ELSE qserv_without_power(list_filter(
                 list_transform(range(17), lambda k: format('{:.' || k || 'e}', v)), lambda t: CAST(t AS DOUBLE) = v
             )[1], 15) END)[1];

CREATE OR REPLACE MACRO qserv_real_text(x) AS
    list_transform([x], lambda v:
        CASE WHEN isnan(v) THEN 'NaN' WHEN isinf(v) THEN CASE WHEN v > 0 THEN 'Infinity' ELSE '-Infinity' END
             ELSE qserv_without_power(list_filter(
                 list_transform(range(9), lambda k: format('{:.' || k || 'e}', v)), lambda t: CAST(t AS FLOAT) = v
             )[1], 6) END)[1];

-- A time as adql.casts has them; its fraction is cut after six digits.
CREATE OR REPLACE MACRO qserv_to_time(t) AS
    list_transform([trim(t)], lambda v:
        CASE WHEN v LIKE '0000%' OR NOT regexp_full_match(v, '[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?Z?)?')
             THEN CAST(CAST(qserv_fail(v, 'no time: "' || v || '"') AS VARCHAR) AS TIMESTAMP)
             ELSE CAST(regexp_replace(v, '(\.[0-9]{6})[0-9]+', '\1') AS TIMESTAMP) END)[1];
