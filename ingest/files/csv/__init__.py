"""CSV files, all values as text; their records are counted by line ends and quotes before a library reads them."""
