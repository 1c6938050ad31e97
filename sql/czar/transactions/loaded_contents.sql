-- sql/czar/transactions/loaded_contents.sql
-- Find files of some content whose rows a table has: by contributions to committed super-transactions, others than one.
-- Parameters: transaction_id (bigint), "table" (text), sha256s (text[]).
-- Returns: sha256, source, transaction_id, moment of recording; the oldest first.
-- Used by: registry.transaction_steps.check_contents
SELECT c.sha256, c.source, c.transaction_id, c.recorded_at
  FROM super_transaction mine
  JOIN catalog_table t ON t.database_id = mine.database_id AND t.name = %(table)s::text
  JOIN contribution c ON c.table_id = t.table_id AND c.sha256 = ANY (%(sha256s)s::text[])
  JOIN super_transaction other ON other.transaction_id = c.transaction_id
 WHERE mine.transaction_id = %(transaction_id)s::bigint AND other.transaction_id <> mine.transaction_id
   AND other.state IN ('COMMITTED', 'LOADED') AND c.rows_loaded > 0
 ORDER BY c.contribution_id;
