"""A Butler repository, from nothing to one that pipelines can run on: the nine steps of RTN-101.

Each step is a function of its own that may be repeated: what is there already is kept, what a killed run left undone is
done. A file that is wrong is reported and the others go on.
"""
