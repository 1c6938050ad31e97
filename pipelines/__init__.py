"""Image processing for the catalogue: C kernels behind cffi, run as Rubin PipelineTasks over a Data Butler.

``instrument`` describes the camera and its raw files, ``survey`` simulates them, ``images`` are what tasks hand on,
``repository`` makes a Butler of them; ``single_frame`` and ``calibration`` are the science on ``kernels``, ``tasks``
and ``definitions`` its form as pipelines, ``workflow`` runs these.
"""
