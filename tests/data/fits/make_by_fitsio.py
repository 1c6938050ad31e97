"""Tables that cfitsio writes, through fitsio."""

from pathlib import Path

import fitsio
import numpy as np

NUMBERS = {
    "b": (np.uint8, [0, 7, 255]),
    "sb": (np.int8, [-128, 7, 127]),
    "i": (np.int16, [-32768, 7, 32767]),
    "ui": (np.uint16, [0, 7, 65535]),
    "j": (np.int32, [-(2**31), 7, 2**31 - 1]),
    "uj": (np.uint32, [0, 7, 2**32 - 1]),
    "k": (np.int64, [-(2**63), 7, 2**63 - 1]),
    "uk": (np.uint64, [0, 7, 2**64 - 1]),
    "e": (np.float32, [np.nan, 0.1, np.inf]),
    "d": (np.float64, [np.nan, 0.1, -np.inf]),
    "l": (np.bool_, [True, False, True]),
}


def structured(fields: dict) -> np.ndarray:
    rows = np.zeros(3, dtype=[(name, *kind) for name, (kind, _) in fields.items()])
    for name, (_, values) in fields.items():
        rows[name] = values
    return rows


def main() -> None:
    fields = {name: ((kind,), values) for name, (kind, values) in NUMBERS.items()}
    fields["t"] = (("S5",), [b"ab", b"", b"  x  "])
    fields["one"] = ((np.int32, (1,)), [[1], [2], [3]])
    fields["many"] = ((np.int32, (2, 3)), np.arange(18).reshape(3, 2, 3))
    fields["c"] = ((np.complex64,), [1j, 2, 3])
    Path("fitsio-types.fits").unlink(missing_ok=True)
    with fitsio.FITS("fitsio-types.fits", "rw") as file:
        file.write(structured(fields), extname="CAT", units=["ct"] + [""] * (len(fields) - 1))
    Path("fitsio-nulls.fits").unlink(missing_ok=True)
    with fitsio.FITS("fitsio-nulls.fits", "rw") as file:
        file.write(
            structured({name: ((kind,), values) for name, (kind, values) in NUMBERS.items() if name[-1] in "bijk"})
        )
        # 7 as it is stored: after TZERO of unsigned numbers and signed bytes was taken off
        for number, stored in enumerate([7, 135, 7, 7 - 2**15, 7, 7 - 2**31, 7, 7 - 2**63], start=1):
            file[1].write_key(f"TNULL{number}", stored)
    Path("fitsio-ascii.fits").unlink(missing_ok=True)
    rows = structured({name: fields[name] for name in ("i", "j", "d", "t")})
    rows["d"] = [-1.5e300, 0.1, 1e-300]
    with fitsio.FITS("fitsio-ascii.fits", "rw") as file:
        file.write(rows, table_type="ascii")
    Path("fitsio-heap.fits").unlink(missing_ok=True)
    heap = np.zeros(3, dtype=[("id", "i8"), ("text", "O"), ("ones", "O"), ("several", "O")])
    heap["id"] = [1, 2, 3]
    heap["text"] = ["a longer text", "b", "  c"]
    heap["ones"] = [np.array([1.5]), np.array([2.5]), np.array([-3.5])]
    heap["several"] = [np.array([1]), np.array([2, 3]), np.array([4, 5, 6])]
    with fitsio.FITS("fitsio-heap.fits", "rw") as file:
        file.write(heap)
    Path("fitsio-texts.fits").unlink(missing_ok=True)
    texts = np.zeros(6, dtype=[("fixed", "S5"), ("heap", "O")])
    texts["fixed"] = [b"a ", b" b  ", b"", b"  ", b"abc  ", b"ab"]
    texts["heap"] = ["a ", " b  ", "c", "  ", "abc  ", "ab"]
    with fitsio.FITS("fitsio-texts.fits", "rw") as file:
        file.write(texts)


if __name__ == "__main__":
    main()
