"""Commands that ask: queries, their checks, jobs of a service."""
