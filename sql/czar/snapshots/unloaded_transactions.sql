-- sql/czar/snapshots/unloaded_transactions.sql
-- Super-transactions of a database that are committed and whose rows the row stores do not all hold yet; a compaction
-- that still loads holds nobody up.
-- Parameters: database_id (integer).   Returns: transaction_id.   Used by: registry.snapshots.publish_snapshot
SELECT transaction_id FROM super_transaction
 WHERE database_id = %(database_id)s::integer AND state = 'COMMITTED' AND NOT compacts
 ORDER BY transaction_id;
