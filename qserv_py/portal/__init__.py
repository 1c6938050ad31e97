"""The web portal.

Here will live its JSON API and the prebuilt page.
"""
