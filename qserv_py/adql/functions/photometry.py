"""sciSQL's conversions between fluxes and AB magnitudes; what has no answer is NULL, as in sciSQL."""

from __future__ import annotations

from qserv_py.adql.functions.signature import Function, function
from qserv_py.catalog.types import DataType

_CGS_ZERO = "(-48.6)"
_NANOJANSKY_ZERO = "31.4"
_NO_FLUX = "NULL when the flux is not positive and finite."


def _pair(
    names: tuple[str, str], called: tuple[str, str], zero: str, docs: tuple[str, str], unit: str
) -> tuple[Function, Function]:
    """Return the conversion of a value, and that of its error."""

    def sql(prefix: str, which: int, arguments: str) -> str:
        return f"{prefix}{called[which]}({arguments}, {zero})"

    one, two = "{0}", "{0}, {1}"
    return (
        function(names[0], "number", DataType.DOUBLE, sql("qserv.", 0, one), sql("qserv_", 0, one), docs[0], unit=unit),
        function(
            names[1],
            "number, number",
            DataType.DOUBLE,
            sql("qserv.", 1, two),
            sql("qserv_", 1, two),
            docs[1],
            unit=unit,
        ),
    )


_TO_MAG, _TO_FLUX = ("ab_mag", "ab_mag_sigma"), ("ab_flux", "ab_flux_sigma")

PHOTOMETRY = (
    *_pair(
        ("scisql_nanojanskyToAbMag", "scisql_nanojanskyToAbMagSigma"),
        _TO_MAG,
        _NANOJANSKY_ZERO,
        (
            f"AB magnitude of a flux in nJy; {_NO_FLUX}",
            f"Error of the AB magnitude of a flux and its error, nJy; {_NO_FLUX}",
        ),
        "mag",
    ),
    *_pair(
        ("scisql_fluxToAbMag", "scisql_fluxToAbMagSigma"),
        _TO_MAG,
        _CGS_ZERO,
        (
            f"AB magnitude of a flux in erg/s/cm2/Hz; {_NO_FLUX}",
            f"Error of the AB magnitude of a flux and its error, erg/s/cm2/Hz; {_NO_FLUX}",
        ),
        "mag",
    ),
    *_pair(
        ("scisql_abMagToNanojansky", "scisql_abMagToNanojanskySigma"),
        _TO_FLUX,
        _NANOJANSKY_ZERO,
        ("Flux, nJy, of an AB magnitude.", "Error of the flux, nJy, of an AB magnitude and its error."),
        "nJy",
    ),
    *_pair(
        ("scisql_abMagToFlux", "scisql_abMagToFluxSigma"),
        _TO_FLUX,
        _CGS_ZERO,
        (
            "Flux, erg/s/cm2/Hz, of an AB magnitude.",
            "Error of the flux, erg/s/cm2/Hz, of an AB magnitude and its error.",
        ),
        "erg.s**-1.cm**-2.Hz**-1",
    ),
)
"""The conversions."""
