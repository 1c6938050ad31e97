"""ADQL text to a checked tree: parsing, names, types, regions; no I/O."""
