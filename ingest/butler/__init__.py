"""Loads datasets of a Butler repository into tables, each dataset exactly once."""
