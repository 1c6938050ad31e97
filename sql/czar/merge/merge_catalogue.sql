-- sql/czar/merge/merge_catalogue.sql
-- The functions of sql/worker/catalogue_functions.sql for the czar's DuckDB, with the same arithmetic and errors, and the
-- aggregates that are put together from parts. DuckDB's dialect; a one-element list makes it compute each argument once.
-- Fields are written (v).name: in HAVING DuckDB reads v.name as a column.
-- Parameters: none.   Returns: nothing.   Used by: executor.merge

-- Products, quotients and powers of ten that are too large are NULL, those that are too small 0.
CREATE OR REPLACE MACRO qserv_product(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v:
        CASE WHEN (v).b = 0 OR ((v).b < 1 AND (v).a < 5e-324::DOUBLE / (v).b) THEN 0
             WHEN (v).b <= 1 OR (v).a <= 1.797693134862315e308::DOUBLE / (v).b THEN (v).a * (v).b END)[1];

CREATE OR REPLACE MACRO qserv_quotient(a, b) AS
    list_transform([{'a': a, 'b': b}], lambda v:
        CASE WHEN (v).a = 0 OR ((v).b > 1 AND (v).a < 5e-324::DOUBLE * (v).b) THEN 0
             WHEN (v).b >= 1 OR (v).a <= 1.797693134862315e308::DOUBLE * (v).b THEN (v).a / (v).b END)[1];

CREATE OR REPLACE MACRO qserv_power_of_ten(x) AS
    list_transform([x], lambda v:
        CASE WHEN v < -323.6 THEN 0 WHEN v <= 308.2547155599167 THEN pow(10::DOUBLE, v) END)[1];

CREATE OR REPLACE MACRO qserv_ab_mag(flux, zero) AS
    list_transform([flux], lambda v:
        CASE WHEN v > 0 AND v < 'Infinity'::DOUBLE THEN -2.5::DOUBLE * log10(v) + zero END)[1];

CREATE OR REPLACE MACRO qserv_ab_mag_sigma(flux, sigma, zero) AS
    list_transform([{'f': flux, 's': sigma}], lambda v:
        CASE WHEN (v).f > 0 AND (v).f < 'Infinity'::DOUBLE AND (v).s >= 0 AND (v).s < 'Infinity'::DOUBLE
             THEN qserv_quotient(qserv_product((v).s, 1.0857362047581296::DOUBLE), (v).f) END)[1];

CREATE OR REPLACE MACRO qserv_ab_flux(mag, zero) AS
    list_transform([mag], lambda v:
        CASE WHEN v > '-Infinity'::DOUBLE AND v < 'Infinity'::DOUBLE
             THEN qserv_power_of_ten(-0.4::DOUBLE * (v - zero)) END)[1];

CREATE OR REPLACE MACRO qserv_ab_flux_sigma(mag, sigma, zero) AS
    list_transform([{'m': mag, 's': sigma}], lambda v:
        CASE WHEN (v).m > '-Infinity'::DOUBLE AND (v).m < 'Infinity'::DOUBLE AND (v).s >= 0 AND (v).s < 'Infinity'::DOUBLE
             THEN qserv_product((v).s, qserv_product(qserv_power_of_ten(-0.4::DOUBLE * ((v).m - zero)),
                                                     0.9210340371976183::DOUBLE)) END)[1];

CREATE OR REPLACE MACRO qserv_interval_overlaps(a, b, c, d) AS
    list_transform([{'a': a, 'b': b, 'c': c, 'd': d}], lambda v:
        CASE WHEN (v).a IS NULL OR (v).b IS NULL OR (v).c IS NULL OR (v).d IS NULL THEN NULL
             WHEN (v).a <= (v).b AND (v).c <= (v).d AND (v).a <= (v).d AND (v).c <= (v).b THEN 1 ELSE 0 END)[1];

CREATE OR REPLACE MACRO qserv_turn(angle) AS
    list_transform([angle], lambda v: CASE WHEN abs(v) < 1e300 THEN v - 360 * floor(v / 360) END)[1];

CREATE OR REPLACE MACRO qserv_in_ellipse(ra, "dec", ra0, dec0, major, minor, angle) AS
    CASE WHEN qserv_is_place(ra, "dec") THEN list_transform(list_transform(list_transform(
        [{'lon': radians(ra - ra0), 'lat': radians("dec"), 'lat0': radians(dec0), 'angle': radians(angle),
          'major': radians(major / 3600), 'minor': radians(minor / 3600)}],
        lambda v: {'north': cos((v).lat0) * sin((v).lat) - sin((v).lat0) * cos((v).lat) * cos((v).lon),
                   'east': cos((v).lat) * sin((v).lon), 'angle': (v).angle, 'major': (v).major, 'minor': (v).minor}),
        lambda v: {'x': sin((v).angle) * (v).east + cos((v).angle) * (v).north,
                   'y': cos((v).angle) * (v).east - sin((v).angle) * (v).north,
                   'major': (v).major, 'minor': (v).minor}),
        lambda v: pow((v).x * (v).minor, 2) + pow((v).y * (v).major, 2) <= pow((v).major * (v).minor, 2))[1] END;

CREATE OR REPLACE MACRO qserv_spread_bits(n) AS
    list_transform(list_transform(list_transform(list_transform(list_transform([n],
        lambda v: (v | (v << 16)) & 281470681808895),
        lambda v: (v | (v << 8)) & 71777214294589695),
        lambda v: (v | (v << 4)) & 1085102592571150095),
        lambda v: (v | (v << 2)) & 3689348814741910323),
        lambda v: (v | (v << 1)) & 6148914691236517205)[1];

-- Face and place in the face of a position between the polar caps, and in one of them.
CREATE OR REPLACE MACRO qserv_healpix_belt(o, nside, z, turns) AS
    list_transform([{
        'a': CAST(floor(nside * (0.5::DOUBLE + turns) - nside * (z * 0.75::DOUBLE)) AS BIGINT),
        'd': CAST(floor(nside * (0.5::DOUBLE + turns) + nside * (z * 0.75::DOUBLE)) AS BIGINT)}],
        lambda w: {
            'face': CASE WHEN ((w).a >> o) = ((w).d >> o) THEN ((w).a >> o) | 4
                         WHEN ((w).a >> o) < ((w).d >> o) THEN (w).a >> o ELSE ((w).d >> o) + 8 END,
            'x': (w).d & (nside - 1), 'y': nside - 1 - ((w).a & (nside - 1))})[1];

CREATE OR REPLACE MACRO qserv_healpix_cap(nside, z, turns, quarter, reach) AS
    list_transform([{
        'a': least(CAST(floor((turns - quarter) * reach) AS BIGINT), nside - 1),
        'd': least(CAST(floor((1 - (turns - quarter)) * reach) AS BIGINT), nside - 1)}],
        lambda w: CASE WHEN z >= 0 THEN {'face': quarter, 'x': nside - 1 - (w).d, 'y': nside - 1 - (w).a}
                       ELSE {'face': quarter + 8, 'x': (w).a, 'y': (w).d} END)[1];

CREATE OR REPLACE MACRO qserv_healpix_place(o, nside, z, cosine, turns) AS
    CASE WHEN abs(z) <= 2::DOUBLE / 3 THEN qserv_healpix_belt(o, nside, z, turns)
         ELSE qserv_healpix_cap(nside, z, turns, least(3, CAST(floor(turns) AS BIGINT)),
             CASE WHEN abs(z) > 0.99 THEN nside * cosine / sqrt((1 + abs(z)) / 3)
                  ELSE nside * sqrt(3 * (1 - abs(z))) END) END;

CREATE OR REPLACE MACRO qserv_quarter_turns(turns) AS
    list_transform([turns - 4 * floor(turns / 4)], lambda t: CASE WHEN t >= 4 THEN 0 ELSE t END)[1];

CREATE OR REPLACE MACRO qserv_healpix_index(cell_order, ra, "dec") AS
    list_transform(
        list_transform([{'o': CAST(cell_order AS BIGINT), 'ra': ra, 'dec': "dec"}], lambda v:
            CASE WHEN (v).o BETWEEN 0 AND 29 AND qserv_is_place((v).ra, (v).dec)
                 THEN {'o': (v).o, 'place': qserv_healpix_place(
                     (v).o, 1::BIGINT << (v).o, sin(radians((v).dec)), cos(radians((v).dec)),
                     qserv_quarter_turns(radians((v).ra) * 0.6366197723675814::DOUBLE))} END),
        lambda v: ((v).place.face << (2 * (v).o)) | qserv_spread_bits((v).place.x) | (qserv_spread_bits((v).place.y) << 1))[1];

CREATE OR REPLACE MACRO qserv_gaia_healpix_index(cell_order, source_id) AS
    list_transform([{'o': CAST(cell_order AS BIGINT), 'id': CAST(source_id AS BIGINT)}], lambda v:
        CASE WHEN (v).o BETWEEN 0 AND 12 THEN (v).id >> (59 - 2 * (v).o) END)[1];

CREATE OR REPLACE MACRO qserv_sexagesimal(written, unit, per_degree) AS
    list_transform(
        list_transform([written], lambda t: regexp_extract(t,
            '(?i)^[ \t\n\f\r]*([+-]?)(?:([0-9]{1,3})(?:[ \t\n\f\r]*[:' || unit || '][ \t\n\f\r]*|[ \t\n\f\r]+)([0-9]{1,2})(?:[ \t\n\f\r]*[:m''][ \t\n\f\r]*|[ \t\n\f\r]+)([0-9]{1,2}(?:\.[0-9]*)?)[s"]?|([0-9]{2})([0-9]{2})([0-9]{2}(?:\.[0-9]*)?))[ \t\n\f\r]*$',
            ['sign', 'whole', 'minutes', 'seconds', 'hh', 'mm', 'ss'])),
        lambda v: list_transform([{
            'sign': CASE WHEN (v).sign = '-' THEN -1 ELSE 1 END,
            'whole': TRY_CAST((v).whole || (v).hh AS DOUBLE), 'minutes': TRY_CAST((v).minutes || (v).mm AS DOUBLE),
            'seconds': TRY_CAST(((v).seconds || (v).ss)[:40] AS DOUBLE)}],
            lambda n: CASE WHEN (n).minutes < 60 AND (n).seconds < 60
                                AND (per_degree <> 240 OR ((n).sign > 0 AND (n).whole < 24))
                           THEN (n).sign * (((n).whole * 3600 + (n).minutes * 60 + (n).seconds) / per_degree) END)[1])[1];

CREATE OR REPLACE MACRO qserv_hms_to_degrees(written) AS qserv_sexagesimal(written, 'h', 240::DOUBLE);

CREATE OR REPLACE MACRO qserv_dms_to_degrees(written) AS qserv_sexagesimal(written, 'd', 3600::DOUBLE);

-- Texts. PostgreSQL counts positions before the first character, and refuses a negative length.
CREATE OR REPLACE MACRO qserv_substring_from(t, p) AS
    list_transform([{'t': t, 'p': CAST(p AS BIGINT)}], lambda v:
        substring((v).t, CASE WHEN (v).p < 1 THEN 1 ELSE (v).p END))[1];

CREATE OR REPLACE MACRO qserv_substring(t, p, n) AS
    list_transform([{'t': t, 'p': CAST(p AS BIGINT), 'n': CAST(n AS BIGINT)}], lambda v:
        CASE WHEN (v).t IS NULL OR (v).p IS NULL OR (v).n IS NULL THEN NULL
             WHEN (v).n < 0 THEN CAST(qserv_fail((v).n, 'negative substring length not allowed') AS VARCHAR)
             WHEN (v).p + (v).n <= 1 THEN ''
             WHEN (v).p < 1 THEN substring((v).t, 1, (v).p + (v).n - 1) ELSE substring((v).t, (v).p, (v).n) END)[1];

CREATE OR REPLACE MACRO qserv_nocasematch(t, pattern) AS CAST(qserv_lower(t) LIKE qserv_lower(pattern) AS INTEGER);

-- A text without words has one empty word here; every text is made to hold that one.
CREATE OR REPLACE MACRO qserv_words(t) AS
    string_split(trim(regexp_replace(qserv_lower(t), '[\x01-/:-@\[-`{-\x7f]+', ' ', 'g'), ' '), ' ');

CREATE OR REPLACE MACRO qserv_hasword(haystack, needle) AS
    list_transform([{'h': qserv_words(haystack), 'n': qserv_words(needle)}], lambda v:
        CASE WHEN (v).h IS NULL OR (v).n IS NULL THEN NULL
             ELSE CAST(list_has_all(list_append((v).h, ''), (v).n) AS INTEGER) END)[1];

CREATE OR REPLACE MACRO qserv_hashlist_has(list, item) AS
    list_transform([{'l': qserv_lower(list), 'i': qserv_lower(item)}], lambda v:
        CASE WHEN (v).l IS NULL OR (v).i IS NULL THEN NULL
             ELSE CAST(strpos((v).i, '#') = 0 AND strpos('#' || (v).l || '#', '#' || (v).i || '#') > 0 AS INTEGER) END)[1];

-- Aggregates over a list of the values. Sums of squares as PostgreSQL has them: from the mean, infinite values give NaN.
CREATE OR REPLACE MACRO qserv_known(l) AS list_filter(l, lambda v: v IS NOT NULL);

CREATE OR REPLACE MACRO qserv_in_range(m) AS
    CASE WHEN isinf(m) THEN qserv_fail(m, 'value out of range: overflow') ELSE m END;

-- Count and sum of squares of a list, and of a list of parts {n, m, s}: counts, means and sums of squares.
CREATE OR REPLACE MACRO qserv_squares(l) AS
    list_transform(list_transform([qserv_known(l)], lambda k: {'k': k, 'm': list_sum(k) / len(k)}),
        lambda v: {'n': len((v).k), 's': list_sum(list_transform((v).k, lambda x: (x - (v).m) * (x - (v).m)))})[1];

CREATE OR REPLACE MACRO qserv_merged_squares(l) AS
    list_transform(list_transform(
        list_transform([list_filter(l, lambda p: (p).n > 0)], lambda k:
            {'k': k, 'n': list_sum(list_transform(k, lambda p: (p).n))}),
        lambda v: {'k': (v).k, 'n': (v).n, 'm': list_sum(list_transform((v).k, lambda p: (p).n * (p).m)) / (v).n}),
        lambda v: {'n': (v).n,
                   's': list_sum(list_transform((v).k, lambda p: (p).s + (p).n * ((p).m - (v).m) * ((p).m - (v).m)))})[1];

CREATE OR REPLACE MACRO qserv_spread(squares, fewer) AS
    list_transform([squares], lambda v: CASE WHEN (v).n > fewer THEN qserv_in_range((v).s) / ((v).n - fewer) END)[1];

CREATE OR REPLACE MACRO qserv_var_pop(l) AS qserv_spread(qserv_squares(l), 0);
CREATE OR REPLACE MACRO qserv_var_samp(l) AS qserv_spread(qserv_squares(l), 1);
CREATE OR REPLACE MACRO qserv_stddev_pop(l) AS sqrt(qserv_var_pop(l));
CREATE OR REPLACE MACRO qserv_stddev_samp(l) AS sqrt(qserv_var_samp(l));
CREATE OR REPLACE MACRO qserv_merged_var_pop(l) AS qserv_spread(qserv_merged_squares(l), 0);
CREATE OR REPLACE MACRO qserv_merged_var_samp(l) AS qserv_spread(qserv_merged_squares(l), 1);
CREATE OR REPLACE MACRO qserv_merged_stddev_pop(l) AS sqrt(qserv_merged_var_pop(l));
CREATE OR REPLACE MACRO qserv_merged_stddev_samp(l) AS sqrt(qserv_merged_var_samp(l));

-- PostgreSQL's percentile_cont: between two values, the line between them.
CREATE OR REPLACE MACRO qserv_percentile(l, fraction) AS
    list_transform(
        list_transform([list_sort(qserv_known(l))], lambda k: {'k': k, 'p': fraction * (len(k) - 1)}),
        lambda v: CASE WHEN len((v).k) = 0 THEN NULL
                       WHEN floor((v).p) = ceil((v).p) THEN (v).k[CAST((v).p AS BIGINT) + 1]
                       ELSE (v).k[CAST(floor((v).p) AS BIGINT) + 1] + ((v).p - floor((v).p))
                            * ((v).k[CAST(ceil((v).p) AS BIGINT) + 1] - (v).k[CAST(floor((v).p) AS BIGINT) + 1]) END)[1];

CREATE OR REPLACE MACRO qserv_width_bucket(x, a, b, n) AS
    list_transform([{'x': x, 'a': a, 'b': b, 'n': n}], lambda v:
        CASE WHEN (v).x IS NULL OR (v).a IS NULL OR (v).b IS NULL OR (v).n IS NULL THEN NULL
             WHEN (v).n < 1 OR (v).n > 2147483646 OR (v).a = (v).b OR isnan((v).x) OR NOT isfinite((v).a) OR NOT isfinite((v).b)
             THEN qserv_fail((v).x, 'bins need a number, two finite borders and at least one bin')
             WHEN ((v).a < (v).b AND (v).x < (v).a) OR ((v).a > (v).b AND (v).x > (v).a) THEN 0
             WHEN ((v).a < (v).b AND (v).x >= (v).b) OR ((v).a > (v).b AND (v).x <= (v).b) THEN CAST((v).n + 1 AS INTEGER)
             ELSE CAST(least((v).n, floor((v).n * (((v).x / 2 - (v).a / 2) / ((v).b / 2 - (v).a / 2))) + 1) AS INTEGER) END)[1];

CREATE OR REPLACE MACRO qserv_histogram(xs, a, b, n) AS
    list_transform([{'c': len(xs), 'm': list_aggregate(
            list_transform(xs, lambda x: CASE WHEN x IS NULL THEN 0 WHEN isnan(x) THEN n + 1 ELSE qserv_width_bucket(x, a, b, n) END), 'histogram'
        )}], lambda v: CASE WHEN (v).c > 0
                            THEN list_transform(range(n + 2), lambda i: COALESCE(CAST((v).m[i] AS BIGINT), 0)) END)[1];

CREATE OR REPLACE MACRO qserv_merged_histogram(parts) AS
    list_transform([list_filter(parts, lambda p: p IS NOT NULL)], lambda ps:
        CASE WHEN len(ps) > 0
             THEN list_transform(range(1, len(ps[1]) + 1), lambda i:
                 CAST(list_sum(list_transform(ps, lambda p: p[i])) AS BIGINT)) END)[1];
