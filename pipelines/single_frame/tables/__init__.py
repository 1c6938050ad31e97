"""The rows that are stored: of sources, of images and of visits, with the columns of Rubin's schemas.

``summary`` is the row of one image and ``visit_tables`` puts those of a visit together; ``source_table`` makes the rows
of sources, calibrated by that summary. ``wcs_columns`` and ``identifiers`` say how both hold coordinates and ids.
"""
