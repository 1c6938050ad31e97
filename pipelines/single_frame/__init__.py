"""From the pixels of one detector to rows: plain functions over images and tables, without the middleware.

``pipelines.tasks`` wraps them for Rubin's PipelineTasks.
"""
