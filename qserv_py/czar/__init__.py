"""The life of one query, and of the cluster that answers it."""
