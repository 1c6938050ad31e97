-- sql/czar/catalogue/bump_family_version.sql
-- Say that the chunk map of a family has changed. Queries need it when they see a snapshot that does, whose publishing
-- raises the catalogue's version; whoever changes the placement of a chunk that has rows raises that, too.
-- Parameters: family_id (integer).   Returns: nothing.   Used by: registry.transaction_steps.add_chunks
UPDATE family SET version = version + 1 WHERE family_id = %(family_id)s::integer;
