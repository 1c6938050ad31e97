-- sql/worker/shape_functions.sql
-- Shapes as numbers, their bodies, and what is asked of them; step for step the arithmetic of qserv_py/adql/sphere.py,
-- which says what the steps are for. A shape is an array of degrees: 2 numbers are a point, 3 a circle, 6 or more the
-- vertices of a polygon. Its body is the circle around it, (x, y, z, radius), and the vertices, as unit vectors. What is
-- no shape is NULL.
-- Parameters: none.   Returns: nothing.   Used by: workers.server_setup (every start; every statement can be repeated)

CREATE OR REPLACE FUNCTION qserv.point(ra float8, "dec" float8) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN "dec" BETWEEN -90 AND 90 AND ra > '-Infinity' AND ra < 'Infinity' THEN ARRAY[ra, "dec"] END
$$;

CREATE OR REPLACE FUNCTION qserv.circle(ra float8, "dec" float8, radius float8) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN "dec" BETWEEN -90 AND 90 AND ra > '-Infinity' AND ra < 'Infinity'
                     AND radius >= 0 AND radius < 'Infinity' THEN ARRAY[ra, "dec", radius] END
$$;

CREATE OR REPLACE FUNCTION qserv.polygon(numbers float8[]) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    n integer := cardinality(numbers);
BEGIN
    IF n < 6 OR n % 2 = 1 THEN
        RETURN NULL;
    END IF;
    FOR i IN 1 .. n BY 2 LOOP
        IF (numbers[i] > '-Infinity' AND numbers[i] < 'Infinity' AND numbers[i + 1] BETWEEN -90 AND 90) IS NOT TRUE THEN
            RETURN NULL;
        END IF;
    END LOOP;
    RETURN numbers;
END
$$;

-- The position of a vector.
CREATE OR REPLACE FUNCTION qserv.position(x float8, y float8, z float8) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    ra float8 := degrees(atan2(y, x));
BEGIN
    IF ra < 0 THEN
        ra := ra + 360;
    END IF;
    RETURN ARRAY[CASE WHEN ra >= 360 THEN ra - 360 ELSE ra END,
                 degrees(atan2(z, sqrt(qserv.calm(x) * qserv.calm(x) + qserv.calm(y) * qserv.calm(y))))];
END
$$;

-- ADQL's BOX as the polygon that it is.
CREATE OR REPLACE FUNCTION qserv.box(ra float8, "dec" float8, width float8, height float8) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    lon float8;
    lat float8;
    x float8;
    y float8;
    s float8[] := '{-1,-1,1,-1,1,1,-1,1}';
    corners float8[] := '{}';
BEGIN
    IF qserv.point(ra, "dec") IS NULL OR NOT (width >= 0 AND width < 180 AND height >= 0 AND height < 180) THEN
        RETURN NULL;
    END IF;
    lon := radians(qserv.calm(ra));
    lat := radians(qserv.calm("dec"));
    x := tan(radians(qserv.calm(width)) / 2);
    y := tan(radians(qserv.calm(height)) / 2);
    FOR i IN 1 .. 8 BY 2 LOOP
        corners := corners || qserv.position(
            qserv.calm(cos(lat) * cos(lon)) + s[i] * x * -sin(lon) + s[i + 1] * y * (-sin(lat) * cos(lon)),
            qserv.calm(cos(lat) * sin(lon)) + s[i] * x * cos(lon) + s[i + 1] * y * (-sin(lat) * sin(lon)),
            qserv.calm(sin(lat)) + s[i + 1] * y * cos(lat));
    END LOOP;
    RETURN corners;
END
$$;

-- The matrix from ICRS to a frame, row by row; qserv_py/adql/frames.py says which frames there are.
CREATE OR REPLACE FUNCTION qserv.rotation(frame text) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE frame
        WHEN 'FK5' THEN '{0.9999999999999929, -1.1102233297408352e-07, -4.4118044980967814e-08,
            1.1102233723050047e-07, 0.999999999999989, 9.647792241685733e-08,
            4.411803426976331e-08, -9.647792749907272e-08, 0.9999999999999943}'::float8[]
        WHEN 'GALACTIC' THEN '{-0.05487565771259173, -0.8734370519556163, -0.48383507361671546,
            0.4941094371927275, -0.44482972122329517, 0.7469821839866674,
            -0.8676661375596587, -0.19807633727300056, 0.45598381368730173}'::float8[]
        WHEN 'SUPER_GALACTIC' THEN '{0.3750155557030317, 0.34135887185624764, 0.8618801851683191,
            -0.8983204377276139, -0.09572710024885128, 0.4287851600030191,
            0.2288749093754375, -0.9350456902649069, 0.2707504994924461}'::float8[]
        WHEN 'ECLIPTIC' THEN '{0.9999999999999942, -7.078368960971561e-08, 8.056213977613187e-08,
            3.2897004077419646e-08, 0.9174821299149586, 0.397776999444048,
            -1.0207044725484357e-07, -0.3977769994440432, 0.9174821299149555}'::float8[]
    END
$$;

-- The matrix from one frame to another.
CREATE OR REPLACE FUNCTION qserv.rotation_between(source text, target text) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    one float8[] := coalesce(qserv.rotation(source), '{1,0,0,0,1,0,0,0,1}');
    two float8[] := coalesce(qserv.rotation(target), '{1,0,0,0,1,0,0,0,1}');
    m float8[] := '{}';
BEGIN
    FOR i IN 1 .. 9 BY 3 LOOP
        FOR k IN 1 .. 9 BY 3 LOOP
            m := m || (two[i] * one[k] + two[i + 1] * one[k + 1] + two[i + 2] * one[k + 2]);
        END LOOP;
    END LOOP;
    RETURN m;
END
$$;

-- A shape turned by a matrix.
CREATE OR REPLACE FUNCTION qserv.rotated(numbers float8[], m float8[]) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    n integer := CASE WHEN cardinality(numbers) = 3 THEN 2 ELSE cardinality(numbers) END;
    turned float8[] := '{}';
    lon float8;
    lat float8;
    x float8;
    y float8;
    z float8;
BEGIN
    FOR i IN 1 .. n BY 2 LOOP
        lon := radians(qserv.calm(numbers[i]));
        lat := radians(qserv.calm(numbers[i + 1]));
        x := qserv.calm(cos(lat) * cos(lon));
        y := qserv.calm(cos(lat) * sin(lon));
        z := qserv.calm(sin(lat));
        turned := turned || qserv.position(m[1] * x + m[2] * y + m[3] * z, m[4] * x + m[5] * y + m[6] * z,
                                           m[7] * x + m[8] * y + m[9] * z);
    END LOOP;
    RETURN CASE WHEN cardinality(numbers) = 3 THEN turned || numbers[3] ELSE turned END;
END
$$;

-- The shape that a text writes, as qserv_py/adql/region_text.py reads it. One regular expression for all of it would take
-- PostgreSQL half a millisecond.
CREATE OR REPLACE FUNCTION qserv.region(written text) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    plain text := lower(btrim(translate(written, E'\t\n\r', '   '))) || ' ';
    head text := substring(plain FROM '^(?:[a-z][a-z0-9_]* +)*');
    tail text := substr(plain, length(head) + 1);
    words text[] := array_remove(string_to_array(head, ' '), '');
    next integer := 1;
    word text := '';
    frame text;
    numbers float8[];
    n integer;
    m float8[];
BEGIN
    IF words[next] IN ('position', 'point', 'circle', 'box', 'polygon') THEN
        word := words[next];
        next := next + 1;
    END IF;
    IF words[next] IN ('icrs', 'unknownframe') THEN
        next := next + 1;
    ELSIF words[next] IN ('fk5', 'j2000', 'galactic', 'galactic_ii', 'super_galactic', 'ecliptic') THEN
        frame := words[next];
        next := next + 1;
    END IF;
    IF words[next] IN ('geocenter', 'barycenter', 'heliocenter', 'topocenter', 'unknownrefpos') THEN
        next := next + 1;
    END IF;
    IF words[next] = 'spherical2' THEN
        next := next + 1;
    END IF;
    -- longer numbers than those could be beyond a double
    IF next <= cardinality(words) OR tail ~ '[0-9.]{31}'
       OR tail !~ '^([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9][0-9]?)? +)+$' THEN
        RETURN NULL;
    END IF;
    numbers := array_remove(string_to_array(tail, ' '), '')::float8[];
    n := cardinality(numbers);
    numbers := CASE
        WHEN n = 2 AND word IN ('', 'position', 'point') THEN qserv.point(numbers[1], numbers[2])
        WHEN n = 3 AND word IN ('', 'circle') THEN qserv.circle(numbers[1], numbers[2], numbers[3])
        WHEN n = 4 AND word = 'box' THEN qserv.box(numbers[1], numbers[2], numbers[3], numbers[4])
        WHEN word IN ('', 'polygon') THEN qserv.polygon(numbers) END;
    IF frame IS NULL THEN
        RETURN numbers;
    END IF;
    m := qserv.rotation(CASE frame WHEN 'j2000' THEN 'FK5' WHEN 'galactic_ii' THEN 'GALACTIC' ELSE upper(frame) END);
    RETURN qserv.rotated(numbers, ARRAY[m[1], m[4], m[7], m[2], m[5], m[8], m[3], m[6], m[9]]);
END
$$;

-- A shape, or NULL when it is not of a kind.
CREATE OR REPLACE FUNCTION qserv.only(numbers float8[], kind text) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN kind = 'REGION' OR kind = CASE cardinality(numbers) WHEN 2 THEN 'POINT' WHEN 3 THEN 'CIRCLE' ELSE 'POLYGON' END
                THEN numbers END
$$;

-- The shape of one kind that a text writes; an error when it writes none. CAST(text AS POINT).
CREATE OR REPLACE FUNCTION qserv.region_as(written text, kind text) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    found float8[] := qserv.only(qserv.region(written), kind);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'invalid %: "%"', kind, left(written, 100) USING ERRCODE = '22P02';
    END IF;
    RETURN found;
END
$$;

-- Angle between two unit vectors, radians.
CREATE OR REPLACE FUNCTION qserv.angle(ax float8, ay float8, az float8, bx float8, "by" float8, bz float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (ax - bx) * (ax - bx) + (ay - "by") * (ay - "by") + (az - bz) * (az - bz) <= 2
        THEN 2 * asin(sqrt((ax - bx) * (ax - bx) + (ay - "by") * (ay - "by") + (az - bz) * (az - bz)) / 2)
        ELSE pi() - 2 * asin(sqrt((ax + bx) * (ax + bx) + (ay + "by") * (ay + "by") + (az + bz) * (az + bz)) / 2) END
$$;

CREATE OR REPLACE FUNCTION qserv.body(numbers float8[]) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    n integer := cardinality(numbers);
    lon float8 := radians(qserv.calm(numbers[1]));
    lat float8 := radians(qserv.calm(numbers[2]));
    x float8 := qserv.calm(cos(lat) * cos(lon));
    y float8 := qserv.calm(cos(lat) * sin(lon));
    z float8 := qserv.calm(sin(lat));
    cx float8 := 0;
    cy float8 := 0;
    cz float8 := 0;
    size float8;
    reach float8 := 0;
    v float8[];
BEGIN
    IF n <= 3 THEN
        RETURN ARRAY[x, y, z, CASE WHEN n = 3 THEN radians(qserv.calm(numbers[3])) ELSE 0 END];
    END IF;
    v := array_fill(0::float8, ARRAY[4 + 3 * n / 2]);
    FOR i IN 0 .. n / 2 - 1 LOOP
        lon := radians(qserv.calm(numbers[2 * i + 1]));
        lat := radians(qserv.calm(numbers[2 * i + 2]));
        x := qserv.calm(cos(lat) * cos(lon));
        y := qserv.calm(cos(lat) * sin(lon));
        z := qserv.calm(sin(lat));
        v[5 + 3 * i] := x;
        v[6 + 3 * i] := y;
        v[7 + 3 * i] := z;
        cx := cx + x;
        cy := cy + y;
        cz := cz + z;
    END LOOP;
    cx := qserv.calm(cx);
    cy := qserv.calm(cy);
    cz := qserv.calm(cz);
    size := sqrt(cx * cx + cy * cy + cz * cz);
    IF size < 1e-9 * (n / 2) THEN
        RETURN NULL;
    END IF;
    cx := qserv.calm(cx / size);
    cy := qserv.calm(cy / size);
    cz := qserv.calm(cz / size);
    FOR i IN 0 .. n / 2 - 1 LOOP
        x := v[5 + 3 * i];
        y := v[6 + 3 * i];
        z := v[7 + 3 * i];
        IF x * cx + y * cy + z * cz < 1e-3 THEN
            RETURN NULL;
        END IF;
        reach := greatest(reach, qserv.angle(x, y, z, cx, cy, cz));
    END LOOP;
    v[1] := cx;
    v[2] := cy;
    v[3] := cz;
    v[4] := reach + 2e-13;
    RETURN v;
END
$$;

-- A polygon when it is convex, as far as rounding lets one tell; NULL when it is not.
CREATE OR REPLACE FUNCTION qserv.convex(numbers float8[]) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    body float8[] := qserv.body(numbers);
    n integer := cardinality(numbers) / 2;
    polar boolean := abs(body[3]) >= 0.9;
    size float8 := CASE WHEN polar THEN sqrt(body[2] * body[2] + body[3] * body[3])
                        ELSE sqrt(body[1] * body[1] + body[2] * body[2]) END;
    ex float8 := CASE WHEN polar THEN 0 ELSE qserv.calm(-body[2] / size) END;
    ey float8 := qserv.calm(CASE WHEN polar THEN -body[3] / size ELSE body[1] / size END);
    ez float8 := CASE WHEN polar THEN qserv.calm(body[2] / size) ELSE 0 END;
    nx float8 := qserv.calm(body[2] * ez) - qserv.calm(body[3] * ey);
    ny float8 := qserv.calm(body[3] * ex) - qserv.calm(body[1] * ez);
    nz float8 := qserv.calm(body[1] * ey) - qserv.calm(body[2] * ex);
    depth float8;
    xs float8[] := '{}';
    ys float8[] := '{}';
    sx float8[] := '{}';
    sy float8[] := '{}';
    near float8[] := '{}';
    x float8;
    y float8;
    m integer;
    j integer;
    along float8;
    across float8;
    turned float8 := 0;
    lefts integer := 0;
    rights integer := 0;
BEGIN
    IF body IS NULL THEN
        RETURN NULL;
    END IF;
    FOR i IN 0 .. n - 1 LOOP
        depth := body[5 + 3 * i] * body[1] + body[6 + 3 * i] * body[2] + body[7 + 3 * i] * body[3];
        xs := xs || (body[5 + 3 * i] * ex + body[6 + 3 * i] * ey + body[7 + 3 * i] * ez) / depth;
        ys := ys || (body[5 + 3 * i] * nx + body[6 + 3 * i] * ny + body[7 + 3 * i] * nz) / depth;
    END LOOP;
    FOR i IN 1 .. n LOOP
        j := i % n + 1;
        x := qserv.calm(xs[j] - xs[i]);
        y := qserv.calm(ys[j] - ys[i]);
        size := 2e-13 * (1 + qserv.calm(xs[j]) * qserv.calm(xs[j]) + qserv.calm(ys[j]) * qserv.calm(ys[j]));
        IF abs(x) + abs(y) > 2 * size THEN
            sx := sx || x;
            sy := sy || y;
            near := near || size;
        END IF;
    END LOOP;
    m := cardinality(sx);
    FOR i IN 1 .. m LOOP
        j := i % m + 1;
        along := sx[i] * sx[j] + sy[i] * sy[j];
        across := sx[i] * sy[j] - sy[i] * sx[j];
        turned := turned + abs(atan2(across, along));
        IF abs(across) > near[i] * (abs(sx[i]) + abs(sy[i]) + abs(sx[j]) + abs(sy[j])) THEN
            lefts := lefts + (across > 0)::integer;
            rights := rights + (across < 0)::integer;
        END IF;
    END LOOP;
    RETURN CASE WHEN (lefts = 0 OR rights = 0) AND turned < 3 * pi() THEN numbers END;
END
$$;

-- Angle, radians, from a direction to the shorter arc from a to b.
CREATE OR REPLACE FUNCTION qserv.side_distance(
    ax float8, ay float8, az float8, bx float8, "by" float8, bz float8, px float8, py float8, pz float8
) RETURNS float8 LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    dx float8 := bx - ax;
    dy float8 := "by" - ay;
    dz float8 := bz - az;
    ux float8 := px - ax;
    uy float8 := py - ay;
    uz float8 := pz - az;
    wx float8 := px - bx;
    wy float8 := py - "by";
    wz float8 := pz - bz;
    size float8 := dx * dx + dy * dy + dz * dz;
    nx float8;
    ny float8;
    nz float8;
BEGIN
    IF size > 0 AND dx * ux + dy * uy + dz * uz - size * (ux * ux + uy * uy + uz * uz) / 4 > 0
       AND -(dx * wx + dy * wy + dz * wz) - size * (wx * wx + wy * wy + wz * wz) / 4 > 0 THEN
        nx := (ay + "by") * dz - (az + bz) * dy;
        ny := (az + bz) * dx - (ax + bx) * dz;
        nz := (ax + bx) * dy - (ay + "by") * dx;
        RETURN atan2(abs(nx * ux + ny * uy + nz * uz),
                     sqrt((ny * pz - nz * py) * (ny * pz - nz * py) + (nz * px - nx * pz) * (nz * px - nx * pz)
                          + (nx * py - ny * px) * (nx * py - ny * px)));
    END IF;
    RETURN least(qserv.angle(ax, ay, az, px, py, pz), qserv.angle(bx, "by", bz, px, py, pz));
END
$$;

-- Angle, radians, from a direction to the border of a polygon: negative when it lies inside.
CREATE OR REPLACE FUNCTION qserv.border_distance(body float8[], px float8, py float8, pz float8) RETURNS float8
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    n integer := cardinality(body);
    ahead boolean := body[1] * px + body[2] * py + body[3] * pz > 0;
    polar boolean := abs(body[3]) >= 0.9;
    size float8 := CASE WHEN polar THEN sqrt(body[2] * body[2] + body[3] * body[3])
                        ELSE sqrt(body[1] * body[1] + body[2] * body[2]) END;
    ex float8 := CASE WHEN polar THEN 0 ELSE qserv.calm(-body[2] / size) END;
    ey float8 := qserv.calm(CASE WHEN polar THEN -body[3] / size ELSE body[1] / size END);
    ez float8 := CASE WHEN polar THEN qserv.calm(body[2] / size) ELSE 0 END;
    lx float8 := qserv.calm(py * ez - pz * ey);
    ly float8 := qserv.calm(pz * ex - px * ez);
    lz float8 := qserv.calm(px * ey - py * ex);
    ax float8 := body[n - 2];
    ay float8 := body[n - 1];
    az float8 := body[n];
    bx float8;
    b_y float8;
    bz float8;
    above float8 := lx * (ax - px) + ly * (ay - py) + lz * (az - pz);
    height float8;
    inside boolean := false;
    nearest float8 := pi();
BEGIN
    FOR i IN 5 .. n BY 3 LOOP
        bx := body[i];
        b_y := body[i + 1];
        bz := body[i + 2];
        height := lx * (bx - px) + ly * (b_y - py) + lz * (bz - pz);
        IF ahead AND (above > 0) <> (height > 0)
           AND (((ay + b_y) * (bz - az) - (az + bz) * (b_y - ay)) * (px - ax)
                + ((az + bz) * (bx - ax) - (ax + bx) * (bz - az)) * (py - ay)
                + ((ax + bx) * (b_y - ay) - (ay + b_y) * (bx - ax)) * (pz - az) > 0) = (height > 0) THEN
            inside := NOT inside;
        END IF;
        nearest := least(nearest, qserv.side_distance(ax, ay, az, bx, b_y, bz, px, py, pz));
        ax := bx;
        ay := b_y;
        az := bz;
        above := height;
    END LOOP;
    RETURN CASE WHEN inside THEN -nearest ELSE nearest END;
END
$$;

-- Whether two sides, from a to b and from c to d, cross each other; sides that only touch do not.
CREATE OR REPLACE FUNCTION qserv.sides_cross(
    ax float8, ay float8, az float8, bx float8, "by" float8, bz float8,
    cx float8, cy float8, cz float8, dx float8, dy float8, dz float8
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    nx float8 := (ay + "by") * (bz - az) - (az + bz) * ("by" - ay);
    ny float8 := (az + bz) * (bx - ax) - (ax + bx) * (bz - az);
    nz float8 := (ax + bx) * ("by" - ay) - (ay + "by") * (bx - ax);
    mx float8 := (cy + dy) * (dz - cz) - (cz + dz) * (dy - cy);
    my float8 := (cz + dz) * (dx - cx) - (cx + dx) * (dz - cz);
    mz float8 := (cx + dx) * (dy - cy) - (cy + dy) * (dx - cx);
    one float8 := -(nx * (cx - ax) + ny * (cy - ay) + nz * (cz - az));
    two float8 := nx * (dx - ax) + ny * (dy - ay) + nz * (dz - az);
    three float8 := mx * (ax - cx) + my * (ay - cy) + mz * (az - cz);
    four float8 := -(mx * (bx - cx) + my * ("by" - cy) + mz * (bz - cz));
BEGIN
    RETURN (one > 0 AND two > 0 AND three > 0 AND four > 0) OR (one < 0 AND two < 0 AND three < 0 AND four < 0);
END
$$;

-- Whether two bodies have a point in common, borders included.
CREATE OR REPLACE FUNCTION qserv.intersects(one float8[], other float8[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    n integer := cardinality(one);
    m integer := cardinality(other);
    a integer := n - 2;
    c integer;
BEGIN
    IF qserv.angle(one[1], one[2], one[3], other[1], other[2], other[3]) > one[4] + other[4] + 2e-13 THEN
        RETURN false;
    END IF;
    IF n = 4 AND m = 4 THEN
        RETURN true;
    ELSIF n = 4 THEN
        RETURN qserv.border_distance(other, one[1], one[2], one[3]) <= one[4] + 2e-13;
    ELSIF m = 4 THEN
        RETURN qserv.border_distance(one, other[1], other[2], other[3]) <= other[4] + 2e-13;
    END IF;
    FOR i IN 5 .. m BY 3 LOOP
        IF qserv.border_distance(one, other[i], other[i + 1], other[i + 2]) <= 2e-13 THEN
            RETURN true;
        END IF;
    END LOOP;
    FOR i IN 5 .. n BY 3 LOOP
        IF qserv.border_distance(other, one[i], one[i + 1], one[i + 2]) <= 2e-13 THEN
            RETURN true;
        END IF;
    END LOOP;
    FOR b IN 5 .. n BY 3 LOOP
        c := m - 2;
        FOR d IN 5 .. m BY 3 LOOP
            IF qserv.sides_cross(one[a], one[a + 1], one[a + 2], one[b], one[b + 1], one[b + 2],
                                 other[c], other[c + 1], other[c + 2], other[d], other[d + 1], other[d + 2]) THEN
                RETURN true;
            END IF;
            c := d;
        END LOOP;
        a := b;
    END LOOP;
    RETURN false;
END
$$;

-- Whether the side from a to b of one polygon lies in another, whose border holds both its ends or surrounds them.
CREATE OR REPLACE FUNCTION qserv.side_within(
    ax float8, ay float8, az float8, bx float8, "by" float8, bz float8, outside float8[]
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    n integer := cardinality(outside);
    nx float8 := (ay + "by") * (bz - az) - (az + bz) * ("by" - ay);
    ny float8 := (az + bz) * (bx - ax) - (ax + bx) * (bz - az);
    nz float8 := (ax + bx) * ("by" - ay) - (ay + "by") * (bx - ax);
    cx float8;
    cy float8;
    cz float8;
    dx float8;
    dy float8;
    dz float8;
    before float8;
    after float8;
    cuts float8[] := '{0,1}';
    middle float8;
    size float8;
BEGIN
    FOR i IN 5 .. n BY 3 LOOP
        cx := outside[i];
        cy := outside[i + 1];
        cz := outside[i + 2];
        dx := outside[CASE WHEN i + 3 < n THEN i + 3 ELSE 5 END];
        dy := outside[CASE WHEN i + 3 < n THEN i + 4 ELSE 6 END];
        dz := outside[CASE WHEN i + 3 < n THEN i + 5 ELSE 7 END];
        IF qserv.side_distance(ax, ay, az, bx, "by", bz, cx, cy, cz) <= 2e-13 THEN
            before := nx * (ay * cz - az * cy) + ny * (az * cx - ax * cz) + nz * (ax * cy - ay * cx);
            after := nx * (cy * bz - cz * "by") + ny * (cz * bx - cx * bz) + nz * (cx * "by" - cy * bx);
            IF before > 0 AND after > 0 THEN
                cuts := cuts || before / (before + after);
            END IF;
        ELSIF qserv.sides_cross(ax, ay, az, bx, "by", bz, cx, cy, cz, dx, dy, dz) THEN
            before := ((cy + dy) * (dz - cz) - (cz + dz) * (dy - cy)) * (ax - cx)
                      + ((cz + dz) * (dx - cx) - (cx + dx) * (dz - cz)) * (ay - cy)
                      + ((cx + dx) * (dy - cy) - (cy + dy) * (dx - cx)) * (az - cz);
            after := ((cy + dy) * (dz - cz) - (cz + dz) * (dy - cy)) * (bx - cx)
                     + ((cz + dz) * (dx - cx) - (cx + dx) * (dz - cz)) * ("by" - cy)
                     + ((cx + dx) * (dy - cy) - (cy + dy) * (dx - cx)) * (bz - cz);
            cuts := cuts || before / (before - after);
        END IF;
    END LOOP;
    IF cardinality(cuts) > 2 THEN
        cuts := ARRAY(SELECT cut FROM unnest(cuts) AS cut ORDER BY cut);
    END IF;
    FOR i IN 2 .. cardinality(cuts) LOOP
        middle := (cuts[i - 1] + cuts[i]) / 2;
        cx := qserv.calm(ax * (1 - middle) + bx * middle);
        cy := qserv.calm(ay * (1 - middle) + "by" * middle);
        cz := qserv.calm(az * (1 - middle) + bz * middle);
        size := sqrt(cx * cx + cy * cy + cz * cz);
        IF qserv.border_distance(outside, qserv.calm(cx / size), qserv.calm(cy / size), qserv.calm(cz / size)) > 2e-13 THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$;

-- Whether the outer body holds the inner one, borders included.
CREATE OR REPLACE FUNCTION qserv.contains(inside float8[], outside float8[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    n integer := cardinality(inside);
    a integer := n - 2;
BEGIN
    IF cardinality(outside) = 4 AND outside[4] >= pi() THEN
        RETURN true;
    END IF;
    IF qserv.angle(inside[1], inside[2], inside[3], outside[1], outside[2], outside[3]) > inside[4] + outside[4] + 2e-13 THEN
        RETURN false;
    END IF;
    IF cardinality(outside) = 4 AND n = 4 THEN
        RETURN qserv.angle(inside[1], inside[2], inside[3], outside[1], outside[2], outside[3]) + inside[4]
               <= outside[4] + 2e-13;
    ELSIF cardinality(outside) = 4 THEN
        RETURN pi() - qserv.border_distance(inside, -outside[1], -outside[2], -outside[3]) <= outside[4] + 2e-13;
    ELSIF n = 4 THEN
        RETURN qserv.border_distance(outside, inside[1], inside[2], inside[3]) + inside[4] <= 2e-13;
    END IF;
    FOR i IN 5 .. n BY 3 LOOP
        IF qserv.border_distance(outside, inside[i], inside[i + 1], inside[i + 2]) > 2e-13 THEN
            RETURN false;
        END IF;
    END LOOP;
    FOR b IN 5 .. n BY 3 LOOP
        IF NOT qserv.side_within(inside[a], inside[a + 1], inside[a + 2], inside[b], inside[b + 1], inside[b + 2], outside)
        THEN
            RETURN false;
        END IF;
        a := b;
    END LOOP;
    RETURN true;
END
$$;

-- Area, square degrees.
CREATE OR REPLACE FUNCTION qserv.area(numbers float8[]) RETURNS float8
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    n integer := cardinality(numbers);
    sky float8 := 4 * pi() * degrees(degrees(1));
    v float8[];
    half float8;
    total float8 := 0;
    j integer;
    ux float8;
    uy float8;
    uz float8;
    dx float8;
    dy float8;
    dz float8;
BEGIN
    IF n = 2 THEN
        RETURN 0;
    ELSIF n = 3 THEN
        half := qserv.calm(sin(radians(least(qserv.calm(numbers[3]), 180)) / 2));
        RETURN sky * half * half;
    END IF;
    v := qserv.body(numbers);
    IF v IS NULL THEN
        RETURN NULL;
    END IF;
    FOR i IN 5 .. cardinality(v) BY 3 LOOP
        j := CASE WHEN i + 3 < cardinality(v) THEN i + 3 ELSE 5 END;
        ux := v[i] - v[5];
        uy := v[i + 1] - v[6];
        uz := v[i + 2] - v[7];
        dx := v[j] - v[i];
        dy := v[j + 1] - v[i + 1];
        dz := v[j + 2] - v[i + 2];
        total := total + 2 * atan2(
            -(ux * (v[6] * dz - v[7] * dy) + uy * (v[7] * dx - v[5] * dz) + uz * (v[5] * dy - v[6] * dx)),
            1 + (v[5] * v[i] + v[6] * v[i + 1] + v[7] * v[i + 2]) + (v[5] * v[j] + v[6] * v[j + 1] + v[7] * v[j + 2])
            + (v[i] * v[j] + v[i + 1] * v[j + 1] + v[i + 2] * v[j + 2]));
    END LOOP;
    total := abs(total) * degrees(degrees(1));
    RETURN least(total, sky - total);
END
$$;

-- The centre of a shape, a point.
CREATE OR REPLACE FUNCTION qserv.centroid(numbers float8[]) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    v float8[];
    mx float8 := 0;
    my float8 := 0;
    mz float8 := 0;
    sx float8 := 0;
    sy float8 := 0;
    sz float8 := 0;
    nx float8;
    ny float8;
    nz float8;
    sine float8;
    stretch float8;
    j integer;
BEGIN
    IF cardinality(numbers) < 6 THEN
        RETURN numbers[1:2];
    END IF;
    v := qserv.body(numbers);
    IF v IS NULL THEN
        RETURN NULL;
    END IF;
    FOR i IN 5 .. cardinality(v) BY 3 LOOP
        j := CASE WHEN i + 3 < cardinality(v) THEN i + 3 ELSE 5 END;
        sx := sx + v[i];
        sy := sy + v[i + 1];
        sz := sz + v[i + 2];
        nx := (v[i + 1] + v[j + 1]) * (v[j + 2] - v[i + 2]) - (v[i + 2] + v[j + 2]) * (v[j + 1] - v[i + 1]);
        ny := (v[i + 2] + v[j + 2]) * (v[j] - v[i]) - (v[i] + v[j]) * (v[j + 2] - v[i + 2]);
        nz := (v[i] + v[j]) * (v[j + 1] - v[i + 1]) - (v[i + 1] + v[j + 1]) * (v[j] - v[i]);
        sine := sqrt(nx * nx + ny * ny + nz * nz);
        IF sine > 0 THEN
            stretch := qserv.angle(v[i], v[i + 1], v[i + 2], v[j], v[j + 1], v[j + 2]) / sine;
            mx := mx + nx * stretch;
            my := my + ny * stretch;
            mz := mz + nz * stretch;
        END IF;
    END LOOP;
    IF mx * mx + my * my + mz * mz < 1e-30 THEN
        mx := sx;
        my := sy;
        mz := sz;
    END IF;
    IF mx * sx + my * sy + mz * sz < 0 THEN
        RETURN qserv.position(-mx, -my, -mz);
    END IF;
    RETURN qserv.position(mx, my, mz);
END
$$;

-- The middle of a HEALPix cell (NESTED), a point; NULL when there is no such cell. Gorski et al. 2005, ApJ 622, 759.
CREATE OR REPLACE FUNCTION qserv.healpix_center(cell_order bigint, cell bigint) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    nside bigint;
    face integer;
    ix bigint := 0;
    iy bigint := 0;
    ring bigint;
    across bigint;
    z float8;
    cap bigint;
BEGIN
    IF cell_order NOT BETWEEN 0 AND 29 THEN
        RETURN NULL;
    END IF;
    nside := 1::bigint << cell_order::integer;
    IF cell < 0 OR cell >= 12 * nside * nside THEN
        RETURN NULL;
    END IF;
    face := (cell >> (2 * cell_order)::integer)::integer;
    FOR i IN 0 .. cell_order::integer - 1 LOOP
        ix := ix | (((cell >> (2 * i)) & 1) << i);
        iy := iy | (((cell >> (2 * i + 1)) & 1) << i);
    END LOOP;
    -- counted from the north pole in rings, and eastward in half cells
    ring := (2 + face / 4) * nside - ix - iy - 1;
    across := CASE WHEN face BETWEEN 4 AND 7 THEN 2 * (face % 4) ELSE 2 * (face % 4) + 1 END;
    IF ring < nside OR ring > 3 * nside THEN
        cap := CASE WHEN ring < nside THEN ring ELSE 4 * nside - ring END;
        z := (cap::float8 / nside) * (cap::float8 / nside) / 3;
        -- the sine of half the distance from the pole keeps the digits that the declination needs
        z := 90 - degrees(2 * asin(sqrt(z / 2)));
        RETURN qserv.healpix_place(across * cap + ix - iy, cap, CASE WHEN ring < nside THEN z ELSE -z END);
    END IF;
    z := degrees(asin((2 * nside - ring)::float8 * 2 / (3 * nside)));
    RETURN qserv.healpix_place(across * nside + ix - iy, nside, z);
END
$$;

-- A point from its place in a ring, in half cells of a quarter that has this many, and its declination.
CREATE OR REPLACE FUNCTION qserv.healpix_place(steps bigint, cells bigint, "dec" float8) RETURNS float8[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY[45 * (CASE WHEN steps < 0 THEN steps + 8 * cells ELSE steps END)::float8 / cells, "dec"]
$$;

-- A position at another epoch: straight motion in space. Degrees, mas, mas/yr, km/s, Julian years.
-- ESA 1997, The Hipparcos and Tycho Catalogues, SP-1200, volume 1, section 1.5.5.
CREATE OR REPLACE FUNCTION qserv.epoch_prop_pos(
    ra float8, "dec" float8, parallax float8, pmra float8, pmdec float8, radial_velocity float8,
    ref_epoch float8, out_epoch float8
) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    lon float8;
    lat float8;
    years float8 := out_epoch - ref_epoch;
    east float8;
    north float8;
    away float8;
BEGIN
    IF ra IS NULL OR "dec" IS NULL OR years IS NULL THEN
        RAISE EXCEPTION 'a coordinate or an epoch of ivo_epoch_prop_pos is NULL' USING ERRCODE = '22004';
    END IF;
    -- larger numbers, NaN and infinities belong to no star
    IF qserv.point(ra, "dec") IS NULL OR NOT abs(years) < 1e6
       OR NOT (abs(coalesce(parallax, 0)) < 1e6 AND abs(coalesce(pmra, 0)) < 1e6 AND abs(coalesce(pmdec, 0)) < 1e6
               AND abs(coalesce(radial_velocity, 0)) < 1e6) THEN
        RETURN NULL;
    END IF;
    lon := radians(qserv.calm(ra));
    lat := radians(qserv.calm("dec"));
    east := qserv.calm(radians(qserv.calm(coalesce(pmra, 0)) / 3600000) * qserv.calm(years));
    north := qserv.calm(radians(qserv.calm(coalesce(pmdec, 0)) / 3600000) * qserv.calm(years));
    away := 1 + qserv.calm(radians(qserv.calm(greatest(coalesce(parallax, 0), 0)) / 3600000)
                           * qserv.calm(coalesce(radial_velocity, 0)) / 4.740470463533349) * qserv.calm(years);
    RETURN qserv.position(
        qserv.calm(cos(lat) * cos(lon)) * away - sin(lon) * east - sin(lat) * cos(lon) * north,
        qserv.calm(cos(lat) * sin(lon)) * away + cos(lon) * east - sin(lat) * sin(lon) * north,
        qserv.calm(sin(lat)) * away + cos(lat) * north);
END
$$;
