"""The plan of a query as a value: its stages, what their statements leave open, what stands in the tree of a query."""
