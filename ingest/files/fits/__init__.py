"""FITS tables: headers and rows are read here, values of keywords by astropy; no library is lenient in between."""
