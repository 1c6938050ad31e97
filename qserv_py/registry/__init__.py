"""The catalogue descriptions, read from and written to the registry database."""
