"""Files that describe tables: Felis, partition files."""
