"""Files of rows: what each format holds, as record batches with the number of each row."""
