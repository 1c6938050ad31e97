-- sql/czar/transactions/forget_compaction.sql
-- Forget the segments of a compaction that was undone.
-- Parameters: transaction_id (bigint).   Returns: nothing.   Used by: registry.transactions.undo_compaction
DELETE FROM segment WHERE transaction_id = %(transaction_id)s::bigint AND since IS NULL;
