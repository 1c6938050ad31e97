"""Calls in ADQL 2.1: the functions of the standard, each with the arguments that its grammar gives it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, FUNCTIONS, SHAPE_NAMES
from qserv_py.adql.strict.steps import NO_NUMBER, NO_SHAPE, NO_TEXT, POINTS, STRUCTURE, Form, Steps, shown_word
from qserv_py.adql.strict.tokens import TokenKind
from qserv_py.adql.words import FOREIGN_WORDS, RESERVED
from qserv_py.errors import AdqlError, UnknownFunctionError
from qserv_py.hints import did_you_mean

_OF_NUMBERS = {
    "ABS": 1, "ACOS": 1, "ASIN": 1, "ATAN": 1, "ATAN2": 2, "CEILING": 1, "COS": 1, "COT": 1, "DEGREES": 1, "EXP": 1,
    "FLOOR": 1, "LOG": 1, "LOG10": 1, "MOD": 2, "PI": 0, "POWER": 2, "RADIANS": 1, "SIN": 1, "SQRT": 1, "TAN": 1,
}  # fmt: skip
"""Functions of numbers and how many they take."""

_OF_SHAPES = {
    "AREA": (1, Form.NUMBER),
    "CENTROID": (1, Form.POINT),
    "CONTAINS": (2, Form.NUMBER),
    "COORDSYS": (1, Form.TEXT),
    "INTERSECTS": (2, Form.NUMBER),
}
"""Functions of shapes, how many they take and what they give."""

_AGGREGATES = {"AVG", "COUNT", "MAX", "MIN", "SUM"}
_EXTENSIONS = {*FUNCTIONS, *AGGREGATE_FUNCTIONS, *SHAPE_NAMES}
"""Functions that lenient mode knows."""

_CAST_TYPES = {"SMALLINT", "INTEGER", "BIGINT", "REAL", "CHAR", "VARCHAR", "TIMESTAMP", "POINT", "CIRCLE", "POLYGON"}
_WRITTEN = {
    "POINT": "POINT([coosys,] lon, lat)",
    "CIRCLE": "CIRCLE([coosys,] lon, lat, radius) or CIRCLE([coosys,] point, radius)",
    "BOX": "BOX([coosys,] lon, lat, width, height) or BOX([coosys,] point, width, height)",
    "POLYGON": "POLYGON([coosys,] lon, lat, lon, lat, lon, lat, ...) or POLYGON([coosys,] point, point, point, ...)",
    "DISTANCE": "DISTANCE(point, point) or DISTANCE(lon, lat, lon, lat)",
    "COORD1": "COORD1(point)",
    "COORD2": "COORD2(point)",
    "REGION": "REGION('a literal')",
    "IN_UNIT": "IN_UNIT(x, 'unit')",
    "ROUND": "ROUND(x) or ROUND(x, n) with a literal n",
    "TRUNCATE": "TRUNCATE(x) or TRUNCATE(x, n) with a literal n",
    "RAND": "RAND() or RAND(n) with a literal n",
    "LOWER": "LOWER(text)",
    "UPPER": "UPPER(text)",
}
_POINT_ARGUMENT = "a point or a column"


class CallReader(Steps, ABC):
    """Reads calls; ``value`` and ``sub_query`` are those of the classes built on it."""

    @abstractmethod
    def value(self) -> Form:
        """Read an expression that is no condition."""

    @abstractmethod
    def sub_query(self) -> None:
        """Read a query in parentheses."""

    def call(self, name: str) -> Form:
        """Read a call; the reader stands at its name."""
        if name in _AGGREGATES:
            return self._aggregate(name)
        special = _CALLS.get(name)
        place = self.at
        self.at += 2
        if special is not None:
            return special(self, name, place)
        if name in _OF_NUMBERS:
            forms = self._arguments()
            self._need_count(name, place, len(forms), _OF_NUMBERS[name])
            self._need_numbers(name, forms)
            return Form.NUMBER
        if name in _OF_SHAPES:
            count, result = _OF_SHAPES[name]
            forms = self._arguments()
            self._need_count(name, place, len(forms), count)
            for form, at in forms:
                self.need(form, NO_SHAPE, f"{name} needs a shape", at)
            return result
        if name in RESERVED:
            self.at = place
            if name in FOREIGN_WORDS or name in STRUCTURE:
                raise self.unexpected("an expression")
            hint = "Lenient mode takes it." if name in _EXTENSIONS else ""
            raise self.error(f"{name} is not a function of ADQL 2.1", kind=UnknownFunctionError, hint=hint)
        if not self.knows(name):
            written = self.tokens.shown(place)
            if name in _EXTENSIONS:
                raise self.error(
                    f"{name} is not a function of ADQL 2.1",
                    at=place,
                    kind=UnknownFunctionError,
                    hint="Lenient mode takes it.",
                )
            raise self.error(
                f"function {written} is neither ADQL's nor the service's",
                at=place,
                kind=UnknownFunctionError,
                hint=did_you_mean(name, [*_OF_NUMBERS, *_OF_SHAPES, *_WRITTEN, *_AGGREGATES, *self.functions]),
            )
        self.names.append(place)
        self._arguments()
        return Form.UDF

    def _arguments(self) -> list[tuple[Form, int]]:
        """Read the arguments after ``(`` and the ``)``; return the form and the place of each."""
        forms: list[tuple[Form, int]] = []
        if self.accept(")"):
            return forms
        if self.words[self.at] in {"DISTINCT", "ALL", "*"}:
            raise self.error(f"{shown_word(self.words[self.at])} stands only in an aggregate")
        while True:
            place = self.at
            forms.append((self.value(), place))
            if not self.accept(","):
                break
        self.expect(")")
        return forms

    def _aggregate(self, name: str) -> Form:
        self.at += 2
        if self.words[self.at] == "*":
            if name != "COUNT":
                raise self.error(f"{name}(*) is not ADQL", hint="Only COUNT takes *.")
            self.at += 1
        else:
            if self.words[self.at] == ")":
                raise self.error(f"{name} needs an argument")
            if self.words[self.at] in {"ALL", "DISTINCT"}:
                self.at += 1
            self.value()
            if self.words[self.at] == ",":
                raise self.error(f"{name} takes one argument", kind=UnknownFunctionError)
        self.expect(")")
        return Form.ANY

    def _cast(self, _name: str, _place: int) -> Form:
        self.value()
        self.expect("AS")
        word, place = self.words[self.at], self.at
        self.at += 1
        if word == "DOUBLE" and self.words[self.at] == "PRECISION":
            self.at += 1
        elif word not in _CAST_TYPES:
            raise self.error(
                f"{self.tokens.shown(place)} is not a type that ADQL 2.1 casts to",
                at=place,
                hint="Types are SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, CHAR, VARCHAR, TIMESTAMP, POINT, "
                "CIRCLE and POLYGON.",
            )
        elif word in {"CHAR", "VARCHAR"} and self.accept("("):
            self.whole_number(word)
            self.expect(")")
        self.expect(")")
        return Form.ANY

    def _coalesce(self, name: str, place: int) -> Form:
        if all(form is Form.NULL for form, _ in self._arguments()):
            raise self._wrong_arguments(name, place, hint="Write COALESCE(a, b, ...), not all of them NULL.")
        return Form.ANY

    def _exists(self, _name: str, place: int) -> Form:
        self.at = place + 1
        self.sub_query()
        return Form.CONDITION

    def _rounding(self, name: str, place: int) -> Form:
        argument = self.at
        if self.words[argument] == ")":
            raise self._wrong_arguments(name, place)
        self.need(self.value(), NO_NUMBER, f"{name} needs a number", argument)
        if self.accept(","):
            if self.words[self.at] in {"+", "-"}:
                self.at += 1
            self._whole_literal(name, place)
        if self.words[self.at] == ",":
            raise self._wrong_arguments(name, place)
        self.expect(")")
        return Form.NUMBER

    def _rand(self, name: str, place: int) -> Form:
        if self.words[self.at] != ")":
            self._whole_literal(name, place)
        self.expect(")")
        return Form.NUMBER

    def _case_folding(self, name: str, place: int) -> Form:
        forms = self._arguments()
        self._need_count(name, place, len(forms), 1)
        self.need(forms[0][0], NO_TEXT, f"{name} needs text", forms[0][1])
        return Form.TEXT

    def _in_unit(self, name: str, place: int) -> Form:
        argument = self.at
        if self.words[argument] == ")":
            raise self._wrong_arguments(name, place)
        self.need(self.value(), NO_NUMBER, f"{name} needs a number", argument)
        if not self.accept(","):
            raise self._wrong_arguments(name, place)
        self._string_literal(name, place)
        self.expect(")")
        return Form.NUMBER

    def _region(self, name: str, place: int) -> Form:
        self._string_literal(name, place)
        self.expect(")")
        return Form.SHAPE

    def _point(self, name: str, place: int) -> Form:
        forms = self._without_frame(self._arguments())
        self._need_count(name, place, len(forms), 2)
        self._need_numbers(name, forms)
        return Form.POINT

    def _around_a_point(self, name: str, place: int) -> Form:
        """Read a CIRCLE or a BOX: a centre, as two numbers or as a point, and one number or two."""
        forms = self._without_frame(self._arguments())
        sizes = 1 if name == "CIRCLE" else 2
        if len(forms) == sizes + 1:
            self._need_points(name, forms[:1])
            forms = forms[1:]
        elif len(forms) != sizes + 2:
            raise self._wrong_arguments(name, place)
        self._need_numbers(name, forms)
        return Form.SHAPE

    def _polygon(self, name: str, place: int) -> Form:
        forms = self._without_frame(self._arguments())
        count = len(forms)
        pairs = count >= 6 and count % 2 == 0
        points = any(form is Form.POINT for form, _ in forms)
        if count < 3 or not (points or pairs or all(form in POINTS for form, _ in forms)):
            raise self._wrong_arguments(name, place)
        if points or not pairs:  # columns alone may be either: the grammar cannot tell
            self._need_points(name, forms)
        else:
            self._need_numbers(name, forms)
        return Form.SHAPE

    def _distance(self, name: str, place: int) -> Form:
        forms = self._arguments()
        if len(forms) == 2:
            self._need_points(name, forms)
        elif len(forms) == 4:
            self._need_numbers(name, forms)
        else:
            raise self._wrong_arguments(name, place)
        return Form.NUMBER

    def _coordinate(self, name: str, place: int) -> Form:
        forms = self._arguments()
        self._need_count(name, place, len(forms), 1)
        self._need_points(name, forms)
        return Form.NUMBER

    def _without_frame(self, forms: list[tuple[Form, int]]) -> list[tuple[Form, int]]:
        """Leave out the coordinate system, a string that may come first; IVOA's collection has NULL there too."""
        return forms[1:] if forms and forms[0][0] in {Form.STRING, Form.NULL} else forms

    def _need_numbers(self, name: str, forms: list[tuple[Form, int]]) -> None:
        for form, place in forms:
            self.need(form, NO_NUMBER, f"{name} needs a number", place)

    def _need_points(self, name: str, forms: list[tuple[Form, int]]) -> None:
        for form, place in forms:
            if form not in POINTS:
                raise self.error(f"{name} needs {_POINT_ARGUMENT}, found {form.value}", at=place)

    def _need_count(self, name: str, place: int, given: int, wanted: int) -> None:
        if given != wanted:
            raise self._wrong_arguments(name, place, hint=f"It takes {wanted}." if name not in _WRITTEN else "")

    def _wrong_arguments(self, name: str, place: int, *, hint: str = "") -> AdqlError:
        hint = hint or f"Write {_WRITTEN[name]}."
        return self.error(f"{name} has the wrong arguments", at=place, kind=UnknownFunctionError, hint=hint)

    def _whole_literal(self, name: str, place: int) -> None:
        if self.kinds[self.at] is not TokenKind.INTEGER or self.words[self.at + 1] != ")":
            raise self._wrong_arguments(name, place)
        self.at += 1

    def _string_literal(self, name: str, place: int) -> None:
        if self.kinds[self.at] is TokenKind.STRING:
            self.string()
            if self.words[self.at] == ")":
                return
        raise self._wrong_arguments(name, place)


_CALLS: dict[str, Callable[[CallReader, str, int], Form]] = {
    "CAST": CallReader._cast,
    "COALESCE": CallReader._coalesce,
    "EXISTS": CallReader._exists,
    "ROUND": CallReader._rounding,
    "TRUNCATE": CallReader._rounding,
    "RAND": CallReader._rand,
    "LOWER": CallReader._case_folding,
    "UPPER": CallReader._case_folding,
    "IN_UNIT": CallReader._in_unit,
    "REGION": CallReader._region,
    "POINT": CallReader._point,
    "CIRCLE": CallReader._around_a_point,
    "BOX": CallReader._around_a_point,
    "POLYGON": CallReader._polygon,
    "DISTANCE": CallReader._distance,
    "COORD1": CallReader._coordinate,
    "COORD2": CallReader._coordinate,
}
"""How the calls are read that are more than a list of numbers or shapes; each begins after the parenthesis."""
