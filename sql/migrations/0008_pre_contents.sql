-- sql/migrations/0008_pre_contents.sql
-- What files were loaded, by their content: a table without unique keys takes each once.
-- Parameters: none.   Returns: nothing.   Used by: registry.migrations
ALTER TABLE contribution ADD COLUMN sha256 text CHECK (sha256 ~ '^[0-9a-f]{64}$');
COMMENT ON COLUMN contribution.sha256 IS
    'Of the file''s content; NULL where the table''s keys tell rows that it has already, or nothing tells the content.';
CREATE INDEX contribution_content ON contribution (table_id, sha256) WHERE sha256 IS NOT NULL;
