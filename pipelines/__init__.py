"""Image processing for the catalogue: C kernels behind cffi, run as Rubin PipelineTasks over a Data Butler.

Here will live the survey simulator, the instrument and its Butler repository, the kernels with their NumPy references,
the PipelineTasks from raw exposure to source catalogue, and the BPS plugin for one machine.
"""
