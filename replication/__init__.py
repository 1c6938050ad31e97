"""Files and catalogues between sites, in the words of Rucio.

Here will live sites, storage elements, rules and locks, the transfer queue with checksums, and the events that turn an
arrived file into an ingest.
"""
