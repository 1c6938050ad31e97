"""Images come back from FITS files as they were put there, and damaged files are told from whole ones."""

from __future__ import annotations

import gzip
import io
import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.exposures import (
    assert_same,
    assert_same_psf,
    assert_same_wcs,
    random_exposure,
    random_psf,
    random_wcs,
    same_bits,
)

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.cards import cards_of, header_of
from qserv_py.pipelines.images.cutout import cut_exposure
from qserv_py.pipelines.images.exposure import Exposure, HeaderValue, RawImage
from qserv_py.pipelines.images.fits_file import (
    EXPOSURE_COMPONENTS,
    read_component,
    read_exposure,
    read_raw,
    read_raw_component,
    write_exposure,
)
from qserv_py.pipelines.images.wcs_cards import wcs_cards, wcs_of
from qserv_py.pipelines.instrument.raws import write_raw
from qserv_py.pipelines.kernels.planes import Plane

NUMBERS = st.floats(allow_infinity=False)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=150)
ODD_TEXTS = st.sampled_from(["", "M: 31", "a.b: 2.5", "it's", "''", "T", "1.0", "a & ", "'" * 80, " / no"])
AT_THE_END = st.builds(
    lambda length, end: "x" * length + end, st.integers(50, 150), st.sampled_from(["&", "&&", "'", " ", "&'", " &"])
)
PLAIN = st.from_regex(r"[A-Z0-9_-]{1,8}", fullmatch=True)
LONG = st.from_regex(r"[A-Z0-9_.!]{1,9}( [A-Z0-9_.!]{1,9}){1,2}", fullmatch=True)
OF_FITS = ("NAXIS", "Z", "COMMENT", "HISTORY", "END", "CONTINUE", "HIERARCH", "EXT", "BSCALE", "BZERO", "BLANK")
KEYWORDS = (PLAIN | LONG).filter(lambda key: not key.startswith(OF_FITS))
VALUES = st.booleans() | st.integers(-(2**66), 2**66) | NUMBERS | TEXTS | ODD_TEXTS | AT_THE_END
HEADERS: st.SearchStrategy[dict[str, HeaderValue]] = st.dictionaries(KEYWORDS, VALUES, max_size=8)
SEEDS = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


def there_and_back(exposure: Exposure, directory: Path) -> Exposure:
    write_exposure(exposure, directory / "image.fits")
    return read_exposure(directory / "image.fits", name="image.fits")


def shown(header: dict[str, HeaderValue]) -> dict[str, str]:
    """Values with their types; FITS does not count blanks at the end of a text."""
    return {key: repr(value.rstrip(" ") if isinstance(value, str) else value) for key, value in header.items()}


@given(HEADERS)
def test_headers_come_back(header: dict[str, HeaderValue]) -> None:
    file = io.BytesIO()
    fits.PrimaryHDU(header=header_of(header)).writeto(file)
    with fits.open(io.BytesIO(file.getvalue())) as hdus:
        assert shown(cards_of(hdus[0].header)) == shown(header)


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_exposures_come_back_bit_for_bit(
    directory: Path, seed: int, rows: int, columns: int, order: int, whole: bool
) -> None:
    exposure = random_exposure(seed, shape=(rows, columns), sip_order=order, whole=whole)
    before = exposure.image.tobytes()
    assert_same(there_and_back(exposure, directory), exposure)
    assert exposure.image.tobytes() == before, "writing turned the bytes of the caller's array"


@settings(max_examples=40)
@given(SEEDS, st.data())
def test_boxes_and_components_are_those_of_the_whole(directory: Path, seed: int, data: st.DataObject) -> None:
    exposure = random_exposure(seed)
    rows, columns = exposure.image.shape
    x0, y0 = data.draw(st.integers(0, columns - 1)), data.draw(st.integers(0, rows - 1))
    bbox = (x0, y0, data.draw(st.integers(x0 + 1, columns)), data.draw(st.integers(y0 + 1, rows)))
    path = directory / "box.fits"
    write_exposure(exposure, path)
    part = read_exposure(path, name="box.fits", bbox=bbox)
    assert_same(part, cut_exposure(exposure, bbox))
    for box, whole in ((None, exposure), (bbox, part)):
        assert_same(
            Exposure(**{key: read_component(path, key, name="box.fits", bbox=box) for key in EXPOSURE_COMPONENTS}),
            whole,
        )


def test_a_box_keeps_places_on_the_sky(directory: Path) -> None:
    exposure = random_exposure(1)
    part = cut_exposure(exposure, (5, 7, 20, 19))
    assert exposure.wcs is not None
    assert part.wcs is not None
    np.testing.assert_allclose(part.wcs.to_sky([2.0], [3.0]), exposure.wcs.to_sky([7.0], [10.0]), rtol=1e-13)
    assert exposure.psf is not None
    assert part.psf is not None
    np.testing.assert_allclose(part.psf.at([2.0], [3.0]), exposure.psf.at([7.0], [10.0]), rtol=1e-9)


@pytest.mark.parametrize(
    "bbox", [(0, 0, 0, 5), (0, 0, 32, 5), (-1, 0, 3, 3), (3, 3, 2, 5), (1, 2, 3), "all", (0.5, 0, 3, 3)]
)
def test_boxes_that_are_none(directory: Path, bbox: object) -> None:
    write_exposure(random_exposure(2), directory / "none.fits")
    for component in ("image", "mask", "psf"):
        with pytest.raises(ImageFileError, match="the box .* (empty or not within the image of 31 x 23|four whole)"):
            read_component(directory / "none.fits", component, name="none.fits", bbox=bbox)


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 5))
def test_the_wcs_of_a_file_is_astropys(directory: Path, seed: int, order: int) -> None:
    exposure = random_exposure(seed, sip_order=order)
    write_exposure(exposure, directory / "sky.fits")
    assert exposure.wcs is not None
    x, y = np.random.default_rng(seed).uniform(-50, 50, (2, 20))
    with fits.open(directory / "sky.fits") as hdus:
        for name in ("IMAGE", "VARIANCE", "MASK"):
            theirs = WCS(hdus[name].header).all_pix2world(x, y, 0)
            np.testing.assert_allclose(theirs, exposure.wcs.to_sky(x, y), rtol=0, atol=1e-9)


@given(SEEDS, st.integers(2, 5), st.integers(2, 5))
def test_wcs_with_two_orders_and_another_matrix(seed: int, a_order: int, b_order: int) -> None:
    random = np.random.default_rng(seed)
    wcs = random_wcs(random, order=max(a_order, b_order))
    cards = wcs_cards(wcs)
    for letter, order in (("A", a_order), ("B", b_order)):
        cards[f"{letter}_ORDER"] = order
        for key in [key for key in cards if key[:2] == f"{letter}_" and key[2:].count("_") == 1]:
            if sum(map(int, key[2:].split("_"))) > order:
                del cards[key]
    with_cdelt = {key: value for key, value in cards.items() if not key.startswith("CD")} | {
        "CDELT1": 2.0,
        "CDELT2": -0.5,
    }
    for i in (1, 2):
        for j in (1, 2):
            with_cdelt[f"PC{i}_{j}"] = float(wcs.cd[i - 1, j - 1]) / (2.0 if i == 1 else -0.5)
    ours, theirs = wcs_of(cards, name="x"), wcs_of(with_cdelt, name="x")
    assert ours is not None
    assert theirs is not None
    x, y = random.uniform(-50, 50, (2, 5))
    np.testing.assert_allclose(ours.to_sky(x, y), WCS(fits.Header(cards)).all_pix2world(x, y, 0), rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.to_sky(x, y), theirs.to_sky(x, y), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"CTYPE1": "GLON-CAR"}, "projection GLON-CAR, DEC--TAN-SIP"),
        ({"RADESYS": "FK4"}, "positions in FK4"),
        ({"CRVAL1": None}, "without CRVAL1"),
        ({"CRPIX2": "x"}, "CRPIX2 of the WCS is 'x'"),
        ({"CRVAL2": math.nan}, "CRVAL2 of the WCS is nan"),
        ({"A_ORDER": 2.5}, "A_ORDER of the WCS is 2.5"),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "maps the image to a line"),
    ],
)
def test_wcs_that_are_none(change: dict[str, HeaderValue | None], message: str) -> None:
    cards = {**wcs_cards(random_wcs(np.random.default_rng(3), order=3)), **change}
    with pytest.raises(ImageFileError, match=message):
        wcs_of({key: value for key, value in cards.items() if value is not None}, name="raw.fits")


def test_distortion_that_sip_lacks() -> None:
    wcs = random_wcs(np.random.default_rng(4), order=2)
    assert wcs.a is not None
    with pytest.raises(ImageFileError, match="distortion a of the WCS has terms outside the powers 2 to 2"):
        wcs_cards(replace(wcs, a=wcs.a + np.array([[0, 1e-6, 0], [0, 0, 0], [0, 0, 0]])))
    with pytest.raises(ImageFileError, match="CRVAL1 of the WCS is nan"):
        wcs_cards(replace(wcs, ra0=math.nan))


@settings(max_examples=40)
@given(SEEDS, st.integers(0, 4), st.integers(1, 9), st.integers(1, 3))
def test_psfs_come_back(directory: Path, seed: int, order: int, side: int, sampling: int) -> None:
    psf = random_psf(np.random.default_rng(seed), order=order, side=side, sampling=sampling)
    exposure = replace(random_exposure(seed), psf=psf)
    assert_same_psf(there_and_back(exposure, directory).psf, psf)


def test_what_others_read_in_the_file(directory: Path) -> None:
    exposure = replace(random_exposure(5, header={"OBJECT": "M 31"}), njy_per_unit=1.0)
    write_exposure(exposure, directory / "other.fits")
    with fits.open(directory / "other.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "IMAGE", "VARIANCE", "MASK", "PSF"]
        assert (hdus["IMAGE"].header["BUNIT"], hdus["VARIANCE"].header["BUNIT"]) == ("nJy", "nJy**2")
        assert {key: hdus["MASK"].header[key] for key in ("MP_BAD", "MP_SAT", "MP_NO_DATA")} == {
            f"MP_{plane.name}": math.log2(plane) for plane in (Plane.BAD, Plane.SAT, Plane.NO_DATA)
        }
        assert hdus[0].header["OBJECT"] == "M 31"
        hdus.verify("exception")
    write_exposure(replace(exposure, njy_per_unit=2.5, header={"BUNIT": "adu / s"}), directory / "other.fits")
    with fits.open(directory / "other.fits") as hdus:
        assert (hdus["IMAGE"].header["BUNIT"], hdus["VARIANCE"].header["BUNIT"]) == ("adu / s", "(adu / s)**2")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"A=B": 1}, '"A=B" cannot be a keyword'),
        ({"ÄTHER": 1}, '"ÄTHER" cannot be a keyword'),
        ({"END": 1}, '"END" cannot be a keyword'),
        ({"OBSERVER": "Müller"}, "'Müller'; FITS takes printable ASCII"),
        ({"OBSERVER": "a\nb"}, "FITS takes printable ASCII"),
        ({"SEEING": math.inf}, '"SEEING" is infinite'),
        ({"LIST": [1]}, '"LIST" is a list'),
        ({"NONE": None}, '"NONE" is a NoneType'),
        ({"a": 1, "A": 2}, '"a" and "A", which are one keyword'),
        ({"A " * 30 + "A": 12345678.5}, "longer than the 80 characters"),
        ({"B " * 39 + "B": "x"}, "has no room for its value"),
        ({"COMMENT": "naïve"}, '"COMMENT" has the line'),
    ],
)
def test_headers_that_fits_cannot_hold(header: dict[str, HeaderValue], message: str) -> None:
    with pytest.raises(ImageFileError, match=message):
        header_of(header)


def test_comments_are_texts_of_lines_and_cards_of_the_file_stay_behind() -> None:
    header = header_of(
        {"COMMENT": "one\n\n" + "x" * 100, "HISTORY": "made", "NAXIS1": 7, "BZERO": 1, "N": np.float32(0.5)}
    )
    assert cards_of(header) == {"COMMENT": "one\n\n" + "x" * 72 + "\n" + "x" * 28, "HISTORY": "made", "N": 0.5}


@given(SEEDS, HEADERS)
def test_raws_come_back(directory: Path, seed: int, header: dict[str, HeaderValue]) -> None:
    pixels = np.random.default_rng(seed).integers(0, 2**16, (9, 13), dtype=np.uint16)
    before = pixels.copy()
    write_raw(directory / "raw.fits", RawImage(pixels=pixels, header=header))
    raw = read_raw(directory / "raw.fits", name="raw.fits")
    assert same_bits(raw.pixels, before)
    assert same_bits(pixels, before)
    assert shown(dict(raw.header)) == shown(header)
    assert read_raw_component(directory / "raw.fits", "header", name="raw.fits") == raw.header or any(
        isinstance(value, float) and math.isnan(value) for value in raw.header.values()
    )


def test_raws_of_others(directory: Path) -> None:
    pixels = np.arange(12, dtype=np.int32).reshape(3, 4)
    primary = fits.PrimaryHDU(header=fits.Header({"OBSID": "x", "GAIN": 1.0}))
    image = fits.CompImageHDU(pixels, header=fits.Header({"GAIN": 2.0, "CHIP": 7}), compression_type="RICE_1")
    fits.HDUList([primary, image]).writeto(directory / "packed.fits.fz", overwrite=True)
    raw = read_raw(directory / "packed.fits.fz", name="packed")
    np.testing.assert_array_equal(raw.pixels, pixels)
    assert raw.pixels.dtype == np.uint16
    assert dict(raw.header) == {"OBSID": "x", "GAIN": 1.0, "CHIP": 7}
    with gzip.open(directory / "zipped.fits.gz", "wb") as file:
        file.write((directory / "packed.fits.fz").read_bytes())
    np.testing.assert_array_equal(read_raw(directory / "zipped.fits.gz", name="zipped").pixels, pixels)
    for bad in (pixels - 1, pixels + 70000, pixels.astype(np.float32)):
        fits.PrimaryHDU(bad).writeto(directory / "bad.fits", overwrite=True)
        with pytest.raises(ImageFileError, match=r"not counts from 0 to 65535"):
            read_raw(directory / "bad.fits", name="bad.fits")
    fits.PrimaryHDU().writeto(directory / "empty.fits", overwrite=True)
    with pytest.raises(ImageFileError, match="empty.fits has no HDU with rows of pixels"):
        read_raw(directory / "empty.fits", name="empty.fits")
    with pytest.raises(ImageFileError, match="uint16 pixels in rows, not int32"):
        write_raw(directory / "bad.fits", RawImage(pixels=pixels, header={}))  # type: ignore[arg-type]


@settings(max_examples=40)
@given(st.integers(0, 23_039))
def test_a_file_cut_off_anywhere_is_refused(directory: Path, length: int) -> None:
    write_exposure(random_exposure(6), directory / "whole.fits")
    whole = (directory / "whole.fits").read_bytes()
    assume(length < len(whole) - 2880)  # what is missing of the last block may be padding
    (directory / "cut.fits").write_bytes(whole[:length])
    said = ""
    try:
        exposure = read_exposure(directory / "cut.fits", name="cut.fits")
    except ImageFileError as error:
        said = error.render()
    # Where a file ends with an HDU, only the PSF can be missing unnoticed; the Butler knows how long a file was.
    assert "cut.fits" in said or exposure.psf is None


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=40))
def test_damage_is_one_error_or_an_image(directory: Path, changes: list[tuple[int, int]]) -> None:
    write_exposure(random_exposure(6), directory / "whole.fits")
    content = bytearray((directory / "whole.fits").read_bytes())
    for place, value in changes:
        content[place] = value
    (directory / "damaged.fits").write_bytes(content)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        heard_of: list[str] = []
        try:
            exposure = read_exposure(directory / "damaged.fits", name="damaged.fits")
        except ImageFileError as error:
            heard_of.append(error.render())
        else:
            assert exposure.image.shape == exposure.mask.shape == exposure.variance.shape
    assert not heard
    assert all("damaged.fits" in text for text in heard_of)


@pytest.mark.parametrize("name", ["IMAGE", "VARIANCE", "MASK"])
def test_files_of_others(directory: Path, name: str) -> None:
    write_exposure(random_exposure(7), directory / "ours.fits")
    path = directory / "theirs.fits"
    for change, message in (
        (None, f"has no HDU {name}"),
        (np.zeros((23, 31)), f"{name} of theirs.fits has pixels of type float64"),
        (np.zeros((2, 3, 4), np.float32), f"{name} of theirs.fits is not rows of pixels"),
        (np.zeros((2, 3), np.int32 if name == "MASK" else np.float32), "theirs.fits has the shape"),
    ):
        with fits.open(directory / "ours.fits") as hdus:
            rest = [hdu for hdu in hdus if hdu.name != name]
            more = [] if change is None else [fits.ImageHDU(change, name=name)]
            fits.HDUList([*rest, *more]).writeto(path, overwrite=True)
        with pytest.raises(ImageFileError, match=message):
            read_exposure(path, name="theirs.fits")
    with pytest.raises(ImageFileError, match="there is no file nowhere.fits"):
        read_exposure(directory / "nowhere.fits", name="nowhere.fits")
    for content in (b"", b"SIMPLE", b"PK\x03\x04" + bytes(5000), b"# a text\n" * 900):
        path.write_bytes(content)
        with pytest.raises(ImageFileError, match="theirs.fits is not a whole FITS image"):
            read_exposure(path, name="theirs.fits")


def test_exposures_that_cannot_be_written(directory: Path) -> None:
    exposure = random_exposure(8)
    for change, message in (
        ({"njy_per_unit": math.inf}, '"NJYUNIT" is infinite'),
        ({"psf": replace(random_psf(np.random.default_rng(1)), order=2)}, "a PSF of order 2 has coefficients of shape"),
    ):
        with pytest.raises(ImageFileError, match=message):
            write_exposure(replace(exposure, **change), directory / "never.fits")
    swapped = replace(exposure, image=exposure.image.astype(">f4"), mask=exposure.mask[::-1, ::-1])
    back = there_and_back(swapped, directory)
    assert same_bits(back.image, exposure.image)
    assert same_bits(back.mask, np.ascontiguousarray(exposure.mask[::-1, ::-1]))
    assert_same_wcs(back.wcs, exposure.wcs)
