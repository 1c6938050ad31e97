-- sql/czar/datasets/count_datasets.sql
-- How many datasets and images published databases have, of those that have any.
-- Parameters: none.   Returns: the database's name, datasets, images.   Used by: registry.datasets.count_datasets
SELECT d.name, coalesce(s.count, 0), coalesce(i.count, 0)
  FROM catalog_database d
  LEFT JOIN (SELECT t.database_id, count(*) FROM dataset JOIN catalog_table t USING (table_id)
              WHERE snapshot IS NOT NULL GROUP BY t.database_id) s USING (database_id)
  LEFT JOIN (SELECT database_id, count(*) FROM image WHERE snapshot IS NOT NULL GROUP BY database_id) i
         USING (database_id)
 WHERE s.count > 0 OR i.count > 0;
