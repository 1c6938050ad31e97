-- sql/czar/transactions/insert_contribution.sql
-- Record what came of one input file.
-- Parameters: transaction_id (bigint), "table" (text), source, format (text), bytes, rows_read, rows_loaded,
-- rows_rejected (bigint), reject_file, error, sha256 (text).
-- Returns: contribution_id, or no row when the database has no such table.
-- Used by: registry.transactions.record_contribution
INSERT INTO contribution (transaction_id, table_id, source, format, bytes, rows_read, rows_loaded, rows_rejected,
                          reject_file, error, sha256)
SELECT x.transaction_id, t.table_id, %(source)s::text, %(format)s::text, %(bytes)s::bigint, %(rows_read)s::bigint,
       %(rows_loaded)s::bigint, %(rows_rejected)s::bigint, %(reject_file)s::text, %(error)s::text,
       %(sha256)s::text
  FROM super_transaction x
  JOIN catalog_table t USING (database_id)
 WHERE x.transaction_id = %(transaction_id)s::bigint AND t.name = %(table)s::text
RETURNING contribution_id;
