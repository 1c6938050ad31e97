"""HTTP for the Virtual Observatory.

Here will live TAP with UWS, cone search, DataLink, SODA, SIA and the registry record.
"""
