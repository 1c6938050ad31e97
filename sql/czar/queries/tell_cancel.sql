-- sql/czar/queries/tell_cancel.sql
-- Tell the processes of the cluster that a query is to end; the one that runs it knows its own name in the text.
-- Parameters: told (text, JSON).   Returns: nothing of use.   Used by: registry.queries.tell_cancel
SELECT pg_notify('qserv_cancel_query', %(told)s::text);
