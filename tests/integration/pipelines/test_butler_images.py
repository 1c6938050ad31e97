"""Images in a Butler repository: put and got, in part, in memory, with provenance, and damaged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from lsst.daf.butler import Butler, DatasetRef, DatasetType, FileDataset
from lsst.pipe.base import InMemoryDatasetHandle
from support.exposures import assert_same, assert_same_psf, assert_same_wcs, random_exposure, same_bits

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.cutout import cut_exposure
from qserv_py.pipelines.images.exposure import RawImage
from qserv_py.pipelines.images.seed import seed_config
from qserv_py.pipelines.instrument.raws import write_raw

BBOX = (3, 5, 20, 17)


@pytest.fixture(scope="module")
def butler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    root = tmp_path_factory.mktemp("repository")
    Butler.makeRepo(str(root), config=seed_config())
    with Butler.from_config(str(root), run="test", writeable=True) as butler:
        record = {
            "name": "Q",
            "visit_max": 1,
            "exposure_max": 1,
            "detector_max": 100,
            "visit_system": 0,
            "class_name": "x",
        }
        butler.registry.syncDimensionData("instrument", record)
        for detector in range(20):
            record = {"instrument": "Q", "id": detector, "full_name": f"D{detector}"}
            butler.registry.syncDimensionData("detector", record)
        for name, storage_class in (("image", "QExposure"), ("frame", "QRaw")):
            dataset_type = DatasetType(name, ("instrument", "detector"), storage_class, universe=butler.dimensions)
            butler.registry.registerDatasetType(dataset_type)
        yield butler


def test_an_exposure_comes_back_with_its_parts(butler: Butler) -> None:
    exposure = random_exposure(1)
    ref = butler.put(exposure, "image", instrument="Q", detector=1)
    assert_same(butler.get(ref), exposure)
    part = cut_exposure(exposure, BBOX)
    assert_same(butler.get(ref, parameters={"bbox": BBOX}), part)
    for whole, parameters in ((exposure, {}), (part, {"bbox": BBOX})):
        for plane in ("image", "mask", "variance"):
            got = butler.get(f"image.{plane}", instrument="Q", detector=1, parameters=parameters)
            assert same_bits(got, getattr(whole, plane))
    assert butler.get("image.header", instrument="Q", detector=1) == exposure.header
    assert butler.get("image.njy_per_unit", instrument="Q", detector=1) == exposure.njy_per_unit
    assert_same_wcs(butler.get("image.wcs", instrument="Q", detector=1), exposure.wcs)
    assert_same_psf(butler.get("image.psf", instrument="Q", detector=1), exposure.psf)
    deferred = butler.getDeferred(ref)
    assert_same(deferred.get(parameters={"bbox": BBOX}), part)
    assert same_bits(deferred.get(component="mask"), exposure.mask)


def test_what_an_exposure_lacks_is_none(butler: Butler) -> None:
    exposure = random_exposure(2, whole=False)
    ref = butler.put(exposure, "image", instrument="Q", detector=2)
    assert_same(butler.get(ref), exposure)
    for component in ("wcs", "psf", "njy_per_unit"):
        assert butler.get(ref.makeComponentRef(component)) is None


def test_a_handle_in_memory_gives_the_same(butler: Butler) -> None:
    exposure = random_exposure(3)
    ref = butler.put(exposure, "image", instrument="Q", detector=3)
    handle = InMemoryDatasetHandle(exposure, storageClass=ref.datasetType.storageClass)
    assert_same(handle.get(parameters={"bbox": BBOX}), cut_exposure(exposure, BBOX))
    assert same_bits(handle.get(component="image"), exposure.image)
    with pytest.raises(ImageFileError, match="not within the image"):
        handle.get(parameters={"bbox": (0, 0, 1000, 1000)})


def test_the_file_says_which_dataset_it_is(butler: Butler) -> None:
    ref = butler.put(random_exposure(4), "image", instrument="Q", detector=4)
    header = fits.getheader(butler.getURI(ref).ospath)
    assert header["LSST BUTLER ID"] == str(ref.id)
    assert header["LSST BUTLER RUN"] == "test"
    assert header["LSST BUTLER DATAID DETECTOR"] == 4
    # An exposure that is read, changed and put again carries no card of the dataset that it was.
    again = butler.put(butler.get(ref), "image", instrument="Q", detector=5)
    assert fits.getheader(butler.getURI(again).ospath)["LSST BUTLER ID"] == str(again.id)


@pytest.mark.parametrize("transfer", ["direct", "copy"])
def test_raws_are_ingested_and_put(butler: Butler, tmp_path: Path, transfer: str) -> None:
    detector = 6 if transfer == "direct" else 7
    raw = RawImage(pixels=np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50, header={"EXPID": 7, "GAIN": 1.7})
    write_raw(tmp_path / "raw.fits", raw)
    data_id = butler.registry.expandDataId(instrument="Q", detector=detector)
    ref = DatasetRef(butler.get_dataset_type("frame"), data_id, run="raw")
    butler.collections.register("raw")
    butler.ingest(FileDataset(path=str(tmp_path / "raw.fits"), refs=[ref]), transfer=transfer)
    put = butler.put(raw, "frame", instrument="Q", detector=detector)
    for each in (ref, put):
        got = butler.get(each)
        assert same_bits(got.pixels, raw.pixels)
        assert got.header == raw.header
        assert butler.get(each.makeComponentRef("header")) == raw.header
        assert same_bits(butler.get(each.makeComponentRef("pixels")), raw.pixels)


def test_damaged_files_and_wrong_boxes_have_one_message(butler: Butler) -> None:
    ref = butler.put(random_exposure(8), "image", instrument="Q", detector=8)
    with pytest.raises(Exception, match=r"the box \(0, 0, 99, 1\) is empty or not within the image of 31 x 23 pixels"):
        butler.get(ref, parameters={"bbox": (0, 0, 99, 1)})
    with pytest.raises(Exception, match="box"):
        butler.get(ref, parameters={"box": (0, 0, 9, 1)})
    path = Path(butler.getURI(ref).ospath)
    content = bytearray(path.read_bytes())
    content[2880:2900] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(Exception, match=f"IMAGE of .*{path.name} is not rows of pixels"):
        butler.get(ref)
    path.write_bytes(content[:3000])
    with pytest.raises(Exception, match="size"):
        butler.get(ref)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        butler.get(ref)


def test_what_cannot_be_written_leaves_nothing(butler: Butler) -> None:
    bad = random_exposure(9, header={"OBSERVER": "Müller"})
    with pytest.raises(RuntimeError, match="Failed to serialize") as caught:
        butler.put(bad, "image", instrument="Q", detector=9)
    assert isinstance(caught.value.__cause__, ImageFileError)
    assert "printable ASCII" in str(caught.value.__cause__)
    assert not butler.exists("image", instrument="Q", detector=9)
    assert butler.put(random_exposure(9), "image", instrument="Q", detector=9)


def test_another_process_knows_the_storage_classes(butler: Butler) -> None:
    exposure = random_exposure(10)
    butler.put(exposure, "image", instrument="Q", detector=10)
    program = (
        "import sys; from lsst.daf.butler import Butler; b = Butler.from_config(sys.argv[1], collections='test');"
        "print(b.get('image', instrument='Q', detector=10).mask.sum())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, butler._config.configDir.ospath], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) == int(exposure.mask.sum())
