"""Plan to rows: ``machine`` decides, ``runner`` and ``merge`` do the I/O, ``execute`` runs the stages."""
