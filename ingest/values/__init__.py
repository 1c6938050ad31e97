"""Values of files to values of columns, one rule for every format."""
