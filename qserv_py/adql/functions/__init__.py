"""The function table: adding a function is one entry here.

An entry has the signature, the type of the answer, the SQL for both engines and a line of documentation. An argument
stands once in the SQL, or nested calls would grow as 2**depth. Both engines answer alike, errors included: where DuckDB
is more lenient than PostgreSQL (roots of negative numbers), a macro of sql/czar/merge/merge_functions.sql or
sql/czar/merge/merge_catalogue.sql raises the error. One module holds one family.
"""

from __future__ import annotations

from qserv_py.adql.functions.aggregates import AGGREGATE_FUNCTIONS, AGGREGATES, BASIC, AggregateFunction
from qserv_py.adql.functions.maths import MATHS, MORE_MATHS
from qserv_py.adql.functions.photometry import PHOTOMETRY
from qserv_py.adql.functions.positions import DISTANCE, FORMS, POSITIONS, SHAPE_NAMES, Form
from qserv_py.adql.functions.signature import Function, Kind
from qserv_py.adql.functions.text import MORE_TEXT, TEXT
from qserv_py.adql.functions.times import TIMES

__all__ = [
    "AGGREGATES", "AGGREGATE_FUNCTIONS", "BASIC", "DISTANCE", "FORMS", "FUNCTIONS", "SHAPE_NAMES", "STANDARD",
    "AggregateFunction", "Form", "Function", "Kind",
]  # fmt: skip

_ALL = (*MATHS, *TEXT, *MORE_MATHS, *MORE_TEXT, *PHOTOMETRY, *POSITIONS, *TIMES)

FUNCTIONS: dict[str, Function] = {function.name.upper(): function for function in _ALL}
"""The functions by upper-case name."""

STANDARD = frozenset(function.name for function in (*MATHS, *TEXT))
"""Names of those that ADQL 2.1 has."""
