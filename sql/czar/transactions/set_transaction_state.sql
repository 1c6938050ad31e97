-- sql/czar/transactions/set_transaction_state.sql
-- Move a super-transaction, held by hold_transaction, to its next state.
-- Parameters: transaction_id (bigint), state (text), reason (text).   Returns: nothing.   Used by: registry.transaction_steps
UPDATE super_transaction
   SET state = %(state)s::text,
       reason = %(reason)s::text,
       ended_at = CASE WHEN %(state)s::text IN ('COMMITTED', 'ABORTED') THEN now() ELSE ended_at END
 WHERE transaction_id = %(transaction_id)s::bigint;
