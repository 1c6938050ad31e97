-- sql/czar/snapshots/await_segments.sql
-- Give a segment to the parts of a super-transaction: the one of their chunk (or ref table) that waits, or a new one.
-- A compaction has segments of its own, so that publishing them shows no rows that wait.
-- Parameters: transaction_id (bigint).   Returns: nothing.   Used by: registry.transactions.commit_transaction
WITH brought AS (
    SELECT p.table_id, p.chunk_id, CASE WHEN x.compacts THEN x.transaction_id END AS compaction
      FROM part p
      JOIN super_transaction x USING (transaction_id)
     WHERE p.transaction_id = %(transaction_id)s::bigint AND p.role <> 'index'
     GROUP BY 1, 2, 3
), made AS (
    INSERT INTO segment (table_id, chunk_id, generation, transaction_id)
    SELECT b.table_id, b.chunk_id,
           1 + coalesce((SELECT max(s.generation) FROM segment s
                          WHERE s.table_id = b.table_id AND s.chunk_id = b.chunk_id),
                        (SELECT max(s.generation) FROM segment s
                          WHERE s.table_id = b.table_id AND s.chunk_id IS NULL AND b.chunk_id IS NULL),
                        0),
           b.compaction
      FROM brought b
     WHERE NOT EXISTS (SELECT FROM segment s
                        WHERE s.table_id = b.table_id AND s.since IS NULL AND s.transaction_id IS NULL
                          AND coalesce(s.chunk_id, -1) = coalesce(b.chunk_id, -1) AND b.compaction IS NULL)
    RETURNING segment_id, table_id, chunk_id, transaction_id
), waiting AS (
    SELECT segment_id, table_id, chunk_id FROM made
     UNION ALL
    SELECT s.segment_id, s.table_id, s.chunk_id
      FROM segment s
      JOIN brought b ON b.table_id = s.table_id AND coalesce(b.chunk_id, -1) = coalesce(s.chunk_id, -1)
     WHERE s.since IS NULL AND s.transaction_id IS NULL AND b.compaction IS NULL
)
UPDATE part p
   SET segment_id = w.segment_id
  FROM waiting w
 WHERE p.transaction_id = %(transaction_id)s::bigint AND p.role <> 'index'
   AND p.table_id = w.table_id AND coalesce(p.chunk_id, -1) = coalesce(w.chunk_id, -1);
