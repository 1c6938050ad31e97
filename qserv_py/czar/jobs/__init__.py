"""Queries of a service: what was asked, within which limits; those that run in the background, and their results."""
