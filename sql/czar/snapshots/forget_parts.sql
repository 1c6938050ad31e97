-- sql/czar/snapshots/forget_parts.sql
-- Forget retired parts whose files are gone; workers hold less by then.
-- Parameters: part_ids (bigint[]).   Returns: nothing.   Used by: registry.snapshots
WITH gone AS (
    DELETE FROM part WHERE part_id = ANY (%(part_ids)s::bigint[]) AND retired IS NOT NULL
    RETURNING table_id, worker_id, role, rows, bytes
)
UPDATE worker_rows r
   SET rows = r.rows - held.rows, parts = r.parts - held.parts, bytes = r.bytes - held.bytes
  FROM (SELECT g.worker_id, t.database_id, coalesce(sum(g.rows) FILTER (WHERE g.role = 'chunk'), 0)::bigint AS rows,
               count(*) AS parts, sum(g.bytes)::bigint AS bytes
          FROM gone g
          JOIN catalog_table t USING (table_id)
         WHERE g.worker_id IS NOT NULL
         GROUP BY 1, 2) AS held
 WHERE r.worker_id = held.worker_id AND r.database_id = held.database_id;
