"""What a block of a query says: its sources, how they are joined, which of them stand near each other."""
