-- sql/czar/catalogue/put_family.sql
-- Add a family unless there is one of the name; the row is locked until the end of the transaction.
-- Parameters: name (text), target_rows, target_bytes (bigint, one of them NULL), min_order, max_order (smallint),
--             overlap_arcsec (double precision).
-- Returns: family_id and the settings that the registry holds.   Used by: registry.databases.add_database
INSERT INTO family AS f (name, target_rows, target_bytes, min_order, max_order, overlap_arcsec)
VALUES (%(name)s::text, %(target_rows)s::bigint, %(target_bytes)s::bigint, %(min_order)s::smallint,
        %(max_order)s::smallint, %(overlap_arcsec)s::double precision)
    ON CONFLICT (name) DO UPDATE SET name = f.name
RETURNING family_id, target_rows, target_bytes, min_order, max_order, overlap_arcsec;
