"""Texts in lenient mode: their tokens, and what may stand where."""
