"""Statements as text: PostgreSQL for the chunks, DuckDB for merges."""
