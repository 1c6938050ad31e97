-- sql/czar/snapshots/publish_parts.sql
-- Put the unpublished parts of the loaded super-transactions of a database into a snapshot, all or those of compactions;
-- retire what the parts of compactions hold again, and let the segments follow their parts.
-- Parameters: database_id, number (integer), compactions (boolean: true leaves appended rows waiting).
-- Returns: table_id of each table whose rows or index the snapshot has changed.   Used by: registry.snapshots
WITH published AS (
    UPDATE part p
       SET snapshot = %(number)s::integer
      FROM super_transaction x
     WHERE p.snapshot IS NULL
       AND p.table_id IN (SELECT table_id FROM catalog_table WHERE database_id = %(database_id)s::integer)
       AND x.transaction_id = p.transaction_id
       AND x.state = 'LOADED'
       AND (x.compacts OR NOT %(compactions)s::boolean)
    RETURNING p.table_id, p.segment_id, p.role, p.rows, p.bytes, p.transaction_id
), replaced AS (
    UPDATE part p
       SET retired = %(number)s::integer
      FROM replacement r
     WHERE r.part_id = p.part_id AND r.transaction_id IN (SELECT transaction_id FROM published)
    RETURNING p.table_id, p.segment_id
), begun AS (
    UPDATE segment s
       SET since = %(number)s::integer, rows = held.rows, bytes = held.bytes, has_overlap = held.has_overlap
      FROM (SELECT segment_id,
                   coalesce(sum(rows) FILTER (WHERE role <> 'overlap'), 0)::bigint AS rows,
                   coalesce(sum(bytes) FILTER (WHERE role <> 'overlap'), 0)::bigint AS bytes,
                   bool_or(role = 'overlap') AS has_overlap
              FROM published
             WHERE segment_id IS NOT NULL
             GROUP BY segment_id) AS held
     WHERE s.segment_id = held.segment_id
), ended AS (
    UPDATE segment s
       SET retired = %(number)s::integer
     WHERE s.segment_id IN (SELECT segment_id FROM replaced)
)
SELECT table_id FROM published UNION SELECT table_id FROM replaced;
