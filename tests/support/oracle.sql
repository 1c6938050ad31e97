-- Geometry of the tests' own, by vectors: written apart from sql/worker/functions.sql to be compared with it.
CREATE SCHEMA IF NOT EXISTS oracle;

CREATE OR REPLACE FUNCTION oracle.separation(ra1 float8, dec1 float8, ra2 float8, dec2 float8) RETURNS float8
    LANGUAGE sql IMMUTABLE AS $$
    SELECT degrees(atan2(sqrt(
        power(cosd(dec2) * sind(ra2 - ra1), 2)
        + power(cosd(dec1) * sind(dec2) - sind(dec1) * cosd(dec2) * cosd(ra2 - ra1), 2)),
        sind(dec1) * sind(dec2) + cosd(dec1) * cosd(dec2) * cosd(ra2 - ra1)))
$$;

-- The four sides of ADQL's BOX are great circles: the sign of the triple product with each.
CREATE OR REPLACE FUNCTION oracle.in_box(
    ra float8, "dec" float8, ra0 float8, dec0 float8, width float8, height float8
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    px float8 := cosd("dec") * cosd(ra - ra0);
    y float8 := cosd("dec") * sind(ra - ra0);
    pz float8 := sind("dec");
    x float8 := px * cosd(dec0) + pz * sind(dec0);
    z float8 := pz * cosd(dec0) - px * sind(dec0);
BEGIN
    RETURN x * sind(width / 2) - y * cosd(width / 2) >= -1e-15 AND x * sind(width / 2) + y * cosd(width / 2) >= -1e-15
       AND x * sind(height / 2) - z * cosd(height / 2) >= -1e-15
       AND x * sind(height / 2) + z * cosd(height / 2) >= -1e-15 AND x > 0;
END $$;

CREATE OR REPLACE FUNCTION oracle.triple(
    ra float8, "dec" float8, ra1 float8, dec1 float8, ra2 float8, dec2 float8
) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT cosd("dec") * cosd(ra) * (cosd(dec1) * sind(ra1) * sind(dec2) - sind(dec1) * cosd(dec2) * sind(ra2))
         + cosd("dec") * sind(ra) * (sind(dec1) * cosd(dec2) * cosd(ra2) - cosd(dec1) * cosd(ra1) * sind(dec2))
         + sind("dec") * cosd(dec1) * cosd(dec2) * sind(ra2 - ra1)
$$;

CREATE OR REPLACE FUNCTION oracle.in_triangle(
    ra float8, "dec" float8, ra1 float8, dec1 float8, ra2 float8, dec2 float8, ra3 float8, dec3 float8
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    side float8 := sign(oracle.triple(ra3, dec3, ra1, dec1, ra2, dec2));
BEGIN
    RETURN sign(oracle.triple(ra, "dec", ra1, dec1, ra2, dec2)) = side
       AND sign(oracle.triple(ra, "dec", ra2, dec2, ra3, dec3)) = side
       AND sign(oracle.triple(ra, "dec", ra3, dec3, ra1, dec1)) = side;
END $$;

-- Distance of a place from the shorter arc between two others, degrees.
CREATE OR REPLACE FUNCTION oracle.from_side(
    ra float8, "dec" float8, ra1 float8, dec1 float8, ra2 float8, dec2 float8
) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    a float8 := oracle.separation(ra, "dec", ra1, dec1);
    b float8 := oracle.separation(ra, "dec", ra2, dec2);
    c float8 := oracle.separation(ra1, dec1, ra2, dec2);
BEGIN
    RETURN CASE WHEN cosd(b) >= cosd(c) * cosd(a) AND cosd(a) >= cosd(c) * cosd(b) AND c > 0
                THEN asind(least(1, abs(oracle.triple(ra, "dec", ra1, dec1, ra2, dec2)) / sind(c))) ELSE least(a, b) END;
END $$;

CREATE OR REPLACE FUNCTION oracle.from_triangle(
    ra float8, "dec" float8, ra1 float8, dec1 float8, ra2 float8, dec2 float8, ra3 float8, dec3 float8
) RETURNS float8 LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    RETURN CASE WHEN oracle.in_triangle(ra, "dec", ra1, dec1, ra2, dec2, ra3, dec3) THEN -1 ELSE 1 END
           * least(oracle.from_side(ra, "dec", ra1, dec1, ra2, dec2), oracle.from_side(ra, "dec", ra2, dec2, ra3, dec3),
                   oracle.from_side(ra, "dec", ra3, dec3, ra1, dec1));
END $$;
