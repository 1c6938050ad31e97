"""VOTables, and the rows of their binary form."""
