-- sql/czar/datasets/insert_image.sql
-- Write down an image that rows of a super-transaction were measured on; one that the database has stays as it is.
-- Parameters: transaction_id (bigint), dataset_id (uuid), dataset_type, run, repository, instrument (text), visit
-- (bigint), detector (integer), visit_name, physical_filter, band, target (text), exposure_s, begin_mjd, end_mjd, ra,
-- dec, field_deg (double precision), region (double precision[]).
-- Returns: nothing.   Used by: registry.datasets.add_images
INSERT INTO image (database_id, dataset_id, dataset_type, run, repository, instrument, visit, detector, visit_name,
                   physical_filter, band, target, exposure_s, begin_mjd, end_mjd, ra, "dec", field_deg, region)
SELECT x.database_id, %(dataset_id)s::uuid, %(dataset_type)s::text, %(run)s::text, %(repository)s::text,
       %(instrument)s::text, %(visit)s::bigint, %(detector)s::integer, %(visit_name)s::text,
       %(physical_filter)s::text, %(band)s::text, %(target)s::text, %(exposure_s)s::double precision,
       %(begin_mjd)s::double precision, %(end_mjd)s::double precision, %(ra)s::double precision,
       %(dec)s::double precision, %(field_deg)s::double precision, %(region)s::double precision[]
  FROM super_transaction x
 WHERE x.transaction_id = %(transaction_id)s::bigint
    ON CONFLICT (database_id, dataset_id) DO NOTHING;
