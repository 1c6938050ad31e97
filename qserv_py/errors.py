"""Every error a user can meet: one tree, a stable code for each, and a text that says what to do next.

The ``code`` crosses the network and process borders, so it never changes once released. Layers translate foreign
errors (PostgreSQL's, pyarrow's) once, at their edge, with ``raise ... from``.
"""

from __future__ import annotations

from typing import Any, ClassVar


class QservError(Exception):
    """Base of all errors of qserv_py.

    Parameters
    ----------
    message
        One line with the names and the numbers.
    detail
        Why, when the message alone does not say it.
    hint
        What the reader can do now.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))

    def __str__(self) -> str:
        return self.render()

    def render(self) -> str:
        """Return the text shown to a user: message, then DETAIL and HINT where there are any.

        ``str`` of an error is the same, so a traceback and a notebook show all of it; ``message`` is the first line
        without the place.
        """
        lines = [self.message]
        if self.detail:
            lines.append(f"DETAIL: {self.detail}")
        if self.hint:
            lines.append(f"HINT: {self.hint}")
        return "\n".join(lines)


def _rebuild(kind: type[QservError], state: dict[str, Any]) -> QservError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class UserError(QservError):
    """The query, the file or the request is wrong; HTTP 400."""

    code = "user_error"


class AdqlError(UserError):
    """An error with a place in an ADQL text.

    Parameters
    ----------
    message
        One line, without the place.
    text
        The whole ADQL text; empty when the place is not known.
    offset
        Character offset in ``text`` where the error is; None when the place is not known.
    """

    code = "adql_error"

    def __init__(
        self, message: str, *, text: str = "", offset: int | None = None, detail: str = "", hint: str = ""
    ) -> None:
        super().__init__(_shortened(message), detail=detail, hint=hint)
        self.text = text
        self.offset = offset

    @property
    def line(self) -> int | None:
        """Line of the error, from 1."""
        return None if self.offset is None else line_and_column(self.text, self.offset)[0]

    @property
    def column(self) -> int | None:
        """Column of the error, from 1."""
        return None if self.offset is None else line_and_column(self.text, self.offset)[1]

    def render(self) -> str:
        """Return the message with its place, the line of the text and a caret under the place."""
        if self.offset is None or self.line is None or self.column is None:
            return super().render()
        shown, column = _window(self.text.splitlines() or [""], self.line, self.column)
        place = f"ADQL line {self.line}, column {self.column}"
        lines = [f"{place}: {self.message}", f"  {shown}", "  " + " " * column + "^"]
        if self.detail:
            lines.append(f"DETAIL: {self.detail}")
        if self.hint:
            lines.append(f"HINT: {self.hint}")
        return "\n".join(lines)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the column of a character of a text, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


_LONGEST_MESSAGE = 600
"""Characters; a message may repeat a name or a number of the query, which can be as long as a query."""


def _shortened(message: str) -> str:
    """Return a message without its middle when it is too long to be read."""
    if len(message) <= _LONGEST_MESSAGE:
        return message
    half = _LONGEST_MESSAGE // 2
    return f"{message[:half]} ... {message[-half:]}"


def _window(lines: list[str], line: int, column: int, *, width: int = 100) -> tuple[str, int]:
    """Cut the part of a long line around the column; return it and the caret's place in it, from 0."""
    text = lines[line - 1] if line <= len(lines) else ""
    text = text.replace("\t", " ")
    start = max(0, column - 1 - width // 2) if len(text) > width else 0
    return text[start : start + width], column - 1 - start


class AdqlSyntaxError(AdqlError):
    """The text is not ADQL."""

    code = "adql_syntax"


class UnknownTableError(AdqlError):
    """A table that no published database has."""

    code = "unknown_table"


class UnknownColumnError(AdqlError):
    """A column that no table in scope has, or that several have."""

    code = "unknown_column"


class UnknownFunctionError(AdqlError):
    """A function that is not known, or a wrong number or kind of arguments."""

    code = "unknown_function"


class TypeMismatchError(AdqlError):
    """An operator or a function applied to values of the wrong type."""

    code = "type_mismatch"


class QueryNotSupportedError(AdqlError):
    """ADQL that is right but that the shards cannot answer; the message says why."""

    code = "query_not_supported"


class StatementError(UserError):
    """A line of a collection of queries that is no statement."""

    code = "bad_statement"


class NotFoundError(UserError):
    """A named thing that does not exist; exit code 3."""

    code = "not_found"


class SchemaError(UserError):
    """A Felis file or a partition file that is wrong."""

    code = "schema_error"


class ConfigError(UserError):
    """A wrong setting, directory or environment variable."""

    code = "config_error"


class AuthenticationError(QservError):
    """Credentials that prove nothing; HTTP 401.

    Parameters
    ----------
    message
        One line that anybody may read.
    reason
        What the operator's log may say beyond it; never shown to who asked, never a secret.
    challenges
        Values of the ``WWW-Authenticate`` headers of the answer.
    """

    code = "not_authenticated"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        challenges: tuple[str, ...] = (),
        detail: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.reason = reason or message
        self.challenges = challenges


class IdentityProviderError(QservError):
    """Credentials cannot be checked now because the issuer of tokens does not answer as it should; HTTP 503."""

    code = "identity_provider"


class LimitError(QservError):
    """A quota, a row limit, a byte limit or a time limit was reached."""

    code = "limit"


class TooManyRequestsError(LimitError):
    """A user of a service has asked for too much at a time; HTTP 429."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.retry_after_s = retry_after_s


class TooLargeError(LimitError):
    """A request is larger than the service takes; HTTP 413."""

    code = "too_large"


class JobInterruptedError(QservError):
    """The processes that ran a job were killed, again and again."""

    code = "job_interrupted"


class QueryCancelledError(QservError):
    """The query was cancelled: by its user, by the operator, by the end of a service."""

    code = "query_cancelled"


class ClusterError(QservError):
    """A cluster or one of its servers cannot be started, stopped or reached."""

    code = "cluster_error"


class WorkerError(QservError):
    """A worker failed."""

    code = "worker_error"


class WorkerUnavailableError(WorkerError):
    """A worker does not answer; another placement may."""

    code = "worker_unavailable"
    retryable = True


class ChunkQueryError(WorkerError):
    """A worker refused or broke off a chunk query."""

    code = "chunk_query_failed"


class EvaluationError(UserError):
    """The data made an expression fail, such as a division by zero; HTTP 400."""

    code = "evaluation_error"

    @classmethod
    def of_servers(cls, text: str) -> EvaluationError:
        """Return the error of an expression that a server or the merge could not evaluate, by its message."""
        if "more than one row" in text.lower():
            text = "a sub-query that stands for a value answers more than one row"
        hint = next((hint for words, hint in _HINTS_OF_EVALUATION if words in text), "")
        return cls(f"an expression of the query failed: {text}", hint=hint)


_HINTS_OF_EVALUATION = (
    ("division by zero", "Write x / NULLIF(y, 0): NULL where y is 0."),
    ("square root", "Write CASE WHEN x >= 0 THEN SQRT(x) END: NULL elsewhere."),
    ("logarithm", "Write CASE WHEN x > 0 THEN LOG10(x) END, or scisql_nanojanskyToAbMag(flux): NULL elsewhere."),
    ("more than one row", "Write IN (SELECT ...), or one aggregate such as MIN(...) in the sub-query."),
    ("out of range", "CAST(x AS DOUBLE PRECISION) before the sum or the product holds larger numbers."),
    ("beyond the range", "CAST(x AS DOUBLE PRECISION) before the sum or the product holds larger numbers."),
)
"""What to write instead, by words of the message; a condition in WHERE may be tested after the expression."""


class IngestError(QservError):
    """Ingest failed."""

    code = "ingest_error"


class TransactionStateError(IngestError):
    """A super-transaction is not in the state that the request needs."""

    code = "transaction_state"


class ContributionError(IngestError):
    """A file cannot be read or has more rejected rows than allowed."""

    code = "contribution_error"


class RepositoryError(QservError):
    """A Butler repository does not answer, is broken, or refuses what it was asked."""

    code = "repository"


class PipelineError(QservError):
    """A step of an image pipeline failed."""

    code = "pipeline_error"


class NothingToDoError(PipelineError):
    """No data fit a pipeline and a condition."""

    code = "nothing_to_do"


class KernelArgumentError(PipelineError):
    """An image kernel got an array, a shape or a number that it cannot take."""

    code = "kernel_argument"


class CalibrationError(PipelineError):
    """A calibration is missing, or does not fit the detector."""

    code = "calibration_error"


class UnusableImageError(PipelineError):
    """An image holds nothing that could be measured: blank, all saturated or all masked."""

    code = "unusable_image"


class NoFitError(PipelineError):
    """The data do not determine a fit: too few stars, or all in one place."""

    code = "no_fit"


class ImageFileError(PipelineError):
    """A FITS file is not the image that it should be, or an image has what FITS cannot hold."""

    code = "image_file"


class InternalError(QservError):
    """A defect of qserv_py; the user sees that it is ours, the details go to the log."""

    code = "internal_error"
