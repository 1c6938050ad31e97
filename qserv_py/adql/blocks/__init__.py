"""Queries and the clauses of each block: names are found, and what does not fit is refused."""
