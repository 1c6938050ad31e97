"""``ivoa.ObsCore``: observations as ObsCore 1.1 describes them, from the registry's images or a named table."""
