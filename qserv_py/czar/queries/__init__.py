"""Queries that run: what each is, within which limits, who is let in, how its result is written and how it ends."""
