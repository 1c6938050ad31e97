"""HTTP for the Virtual Observatory.

TAP with UWS, cone search and the record for the registry of the Virtual Observatory are here.
"""
