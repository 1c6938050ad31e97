"""FITS tables: headers by astropy, rows decoded here, so that no library's leniency stands between file and value."""
