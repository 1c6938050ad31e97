-- sql/czar/transactions/undo_compaction.sql
-- Forget the parts of a compaction that is not published: others hold its rows.
-- Parameters: transaction_id (bigint), reason (text).   Returns: nothing.   Used by: registry.transactions.undo_compaction
WITH gone AS (
    DELETE FROM part WHERE transaction_id = %(transaction_id)s::bigint AND snapshot IS NULL
    RETURNING table_id, worker_id, role, rows, bytes
), counted AS (
    UPDATE worker_rows r
       SET rows = r.rows - held.rows, parts = r.parts - held.parts, bytes = r.bytes - held.bytes
      FROM (SELECT g.worker_id, t.database_id, coalesce(sum(g.rows) FILTER (WHERE g.role = 'chunk'), 0)::bigint AS rows,
                   count(*) AS parts, sum(g.bytes)::bigint AS bytes
              FROM gone g
              JOIN catalog_table t USING (table_id)
             WHERE g.worker_id IS NOT NULL
             GROUP BY 1, 2) AS held
     WHERE r.worker_id = held.worker_id AND r.database_id = held.database_id
), replaced AS (
    DELETE FROM replacement WHERE transaction_id = %(transaction_id)s::bigint
)
UPDATE super_transaction SET state = 'ABORTED', reason = %(reason)s::text, ended_at = now()
 WHERE transaction_id = %(transaction_id)s::bigint;
