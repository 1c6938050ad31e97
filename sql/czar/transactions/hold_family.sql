-- sql/czar/transactions/hold_family.sql
-- Lock a family's row, so that additions to its chunk map follow each other.
-- Parameters: family_id (integer).   Returns: one row.   Used by: registry.transaction_steps
SELECT name FROM family WHERE family_id = %(family_id)s::integer FOR NO KEY UPDATE;
