"""Commands about what the catalogues hold: schemas, files, tables."""
