-- sql/worker/supersede.sql
-- Write down that relations are superseded; those that are so already keep their time.
-- Parameters: schema_name (text), relations (text[]).   Returns: nothing.   Used by: workers.row_store
INSERT INTO qserv.superseded (schema_name, relation)
SELECT %(schema_name)s::text, relation
  FROM unnest(%(relations)s::text[]) AS relation
    ON CONFLICT DO NOTHING;
