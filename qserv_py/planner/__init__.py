"""Checked tree to query plan: which chunks, which chunk query, which merge query; no I/O."""
