"""Which chunks a query reads: by regions of the sky, by keys."""
