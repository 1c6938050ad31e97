-- sql/czar/transactions/insert_replacements.sql
-- Say that the parts of a compaction hold the rows of others; those that have retired meanwhile are left out.
-- Parameters: transaction_id (bigint), part_ids (bigint[]).   Returns: one row for each that was written.
-- Used by: registry.transaction_steps
INSERT INTO replacement (transaction_id, part_id)
SELECT %(transaction_id)s::bigint, p.part_id
  FROM part p
 WHERE p.part_id = ANY (%(part_ids)s::bigint[]) AND p.snapshot IS NOT NULL AND p.retired IS NULL
   AND NOT EXISTS (SELECT FROM replacement r JOIN super_transaction x USING (transaction_id)
                    WHERE r.part_id = p.part_id AND x.state IN ('COMMITTED', 'LOADED'))
RETURNING part_id;
