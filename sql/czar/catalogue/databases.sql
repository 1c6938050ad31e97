-- sql/czar/catalogue/databases.sql
-- Databases with their families and readers; all of them when names is NULL.
-- Parameters: names (text[]).   Returns: one row each, by name.   Used by: registry.catalog_reader
SELECT d.database_id, d.name, d.physical, d.state, d.snapshot_number, d.description, d.felis,
       f.name, f.target_rows, f.min_order, f.max_order, f.overlap_arcsec, f.target_bytes,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(g.kind, g.name)), '[]')
          FROM database_grant g
         WHERE g.database_id = d.database_id)
  FROM catalog_database d
  JOIN family f USING (family_id)
 WHERE %(names)s::text[] IS NULL OR d.name = ANY (%(names)s::text[])
 ORDER BY d.name;
