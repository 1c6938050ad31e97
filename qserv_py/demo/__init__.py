"""The catalogue of ``qserv demo``: a whole sky simulated from a seed, and the run that ingests and queries it.

``sky`` places objects, ``photometry`` gives them magnitudes, ``visits`` looks at them again and again, ``survey`` puts
the tables together and writes them as Parquet, ``run`` brings up a cluster with them. The schema stands in
``survey.yaml``, cut from Rubin's Data Preview 1.
"""
