"""One shard: its PostgreSQL server, its chunk tables, its Parquet parts."""
