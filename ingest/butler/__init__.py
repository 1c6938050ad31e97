"""From datasets of a Butler repository to rows of a table, each dataset exactly once."""
