"""Runs of pipelines on one machine: a plugin of Rubin's BPS, and the few commands that make BPS easy to use.

``local.LocalService`` is the plugin. A submitted run is one directory: ``workflow.json`` is what was asked for and does
not change, ``journal.jsonl`` is everything that happened, one event a line; ``runner`` is the only program that writes
there, and every decision it takes is a pure function of these two files (``machine``). So a kill at any moment loses
nothing but the work of the jobs that were killed with it.
"""
