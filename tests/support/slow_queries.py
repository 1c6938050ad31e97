"""A query of the catalogue "field" that takes minutes."""

from __future__ import annotations

SLOW = (
    "SELECT COUNT(*) FROM field.Source a JOIN field.Source b ON a.objectId = b.objectId"
    " JOIN field.Source c ON c.objectId = b.objectId JOIN field.Source d ON d.objectId = c.objectId"
    " JOIN field.Source e ON e.objectId = d.objectId JOIN field.Source f ON f.objectId = e.objectId"
    " JOIN field.Source g ON g.objectId = f.objectId JOIN field.Source h ON h.objectId = g.objectId"
)
"""6**8 rows for each of some objects."""
