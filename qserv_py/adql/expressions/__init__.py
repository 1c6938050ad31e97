"""Expressions: each kind of node becomes one of ours, with a type."""
