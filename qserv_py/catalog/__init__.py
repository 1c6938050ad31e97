"""What the czar knows about the data: families, databases, tables, columns, chunks, snapshots.

Everything here is frozen and does no I/O; ``registry`` reads and writes it.
"""
