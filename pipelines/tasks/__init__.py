"""PipelineTasks: what the middleware runs.

Each reads, calls one function of ``single_frame`` or ``calibration``, and writes.
"""
