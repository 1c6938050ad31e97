"""VOTable files: ``reader`` is the way in; ``elements`` knows the XML, ``cells`` and ``binary`` the rows."""
