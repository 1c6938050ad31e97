"""``ivoa.ObsCore``: observations as ObsCore 1.1 describes them, of the registry or of a table of one's own."""
