-- sql/czar/datasets/image_rows.sql
-- The images of the snapshots of some databases; the region as STC-S, to about a micro arc second.
-- Parameters: arrays of one element a database: databases (text), snapshots (integer).
-- Returns: one row an image.   Used by: registry.datasets.image_rows
SELECT d.name, i.dataset_id::text, i.dataset_type, i.instrument, i.visit, i.detector, i.visit_name, i.physical_filter,
       i.band, i.target, i.exposure_s, i.begin_mjd, i.end_mjd, i.ra, i."dec", i.field_deg,
       (SELECT 'POLYGON ICRS ' || string_agg(trim_scale(round(corner.value::numeric, 9))::text, ' ' ORDER BY place)
          FROM unnest(i.region) WITH ORDINALITY AS corner (value, place))
  FROM unnest(%(databases)s::text[], %(snapshots)s::integer[]) AS u (name, number)
  JOIN catalog_database d ON d.name = u.name
  JOIN image i ON i.database_id = d.database_id AND i.snapshot <= u.number
 ORDER BY d.name, i.visit, i.detector, i.dataset_type, i.dataset_id;
