-- sql/czar/snapshots/forget_segments.sql
-- Forget retired segments all of whose parts have been forgotten.
-- Parameters: none.   Returns: nothing.   Used by: registry.snapshots
DELETE FROM segment s
 WHERE s.retired IS NOT NULL AND NOT EXISTS (SELECT FROM part p WHERE p.segment_id = s.segment_id);
