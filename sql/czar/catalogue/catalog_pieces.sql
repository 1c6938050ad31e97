-- sql/czar/catalogue/catalog_pieces.sql
-- The versions of all databases and who may read them: what a session compares with what it has.
-- Parameters: none.   Returns: database_id, name, version, snapshot_number (NULL when not published), version of the
-- family's chunk map, readers; by name.   Used by: registry.catalog_reader
SELECT d.database_id, d.name, d.version, CASE WHEN d.state = 'published' THEN d.snapshot_number END, f.version,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(g.kind, g.name)), '[]')
          FROM database_grant g
         WHERE g.database_id = d.database_id)
  FROM catalog_database d
  JOIN family f USING (family_id)
 ORDER BY d.name;
