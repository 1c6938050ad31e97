-- sql/czar/queries/hear_cancels.sql
-- Be told on this connection which queries are to end.
-- Parameters: none.   Returns: nothing.   Used by: registry.queries.hear_cancels
LISTEN qserv_cancel_query;
