-- sql/czar/published_images.sql
-- The images of published databases.
-- Parameters: none.   Returns: the database's name and one row an image.   Used by: registry.datasets.published_images
SELECT d.name, i.dataset_id, i.dataset_type, i.run, i.repository, i.instrument, i.visit, i.detector, i.visit_name,
       i.physical_filter, i.band, i.target, i.exposure_s, i.begin_mjd, i.end_mjd, i.ra, i."dec", i.field_deg, i.region
  FROM image i
  JOIN catalog_database d USING (database_id)
 WHERE i.snapshot IS NOT NULL
 ORDER BY d.name, i.visit, i.detector, i.dataset_type, i.dataset_id;
