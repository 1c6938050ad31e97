"""Plan to rows: ``machine`` decides, ``runner`` does the I/O, ``merge`` combines."""
