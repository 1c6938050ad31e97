"""Try an installed qserv_py: imports, data files, C kernels, the command, a tiny cluster. Run by ``wheel_smoke.py``."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

FIVE_OBJECTS = """objectId,coord_ra,coord_dec
1,10.0,-5.0
2,10.001,-5.0
3,200.0,60.0
4,359.999,0.0
5,0.001,0.0
"""


def check_installation() -> None:
    """Check where the package is, what it holds, and that nothing else of ours is importable."""
    import qserv_py

    assert "site-packages" in str(qserv_py.__file__), qserv_py.__file__
    assert importlib.metadata.version("qserv-py") == qserv_py.__version__
    top_level = {Path(file).parts[0] for file in importlib.metadata.files("qserv-py") or ()}
    ours = {name for name in top_level if not name.endswith(".dist-info") and name != ".."}
    assert ours == {"qserv_py"}, ours
    from qserv_py import sql

    assert sql.names("migrations"), "no migrations were installed"
    assert resources.files("qserv_py.demo").joinpath("survey.yaml").is_file()


def check_kernels() -> None:
    """Find one star with the C kernels."""
    import numpy as np

    from qserv_py.pipelines.kernels.detection import detect, gaussian_kernel

    kernel = gaussian_kernel(3.0)
    image = np.zeros((40, 50))
    image[16 : 16 + len(kernel), 20 : 20 + len(kernel)] = 1e3 * kernel
    (source,) = detect(image, noise=1.0, kernel=kernel).sources
    assert abs(source["x"] - 20 - len(kernel) // 2) < 0.01, source


def qserv(*arguments: str) -> str:
    """Run the installed command and return what it prints."""
    command = [str(Path(sys.executable).with_name("qserv")), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def check_cluster(scratch: Path) -> None:
    """Bring up a cluster of one worker, load five rows, count them, stop."""
    schema = resources.files("qserv_py.demo").joinpath("survey.yaml").read_text()
    head, _, rest = schema.partition("- name: Object")
    wanted = ("objectId", "coord_ra", "coord_dec")
    blocks = [block for block in rest.split("  - name: ") if block.split("\n", 1)[0] in wanted]
    columns = "".join("  - name: " + block for block in blocks[:3])
    (scratch / "few.yaml").write_text(f"{head}- name: Object\n  primaryKey: '#Object.objectId'\n  columns:\n{columns}")
    (scratch / "partition.yaml").write_text(
        "database: dr1\nfamily: {name: dr1}\n"
        "tables:\n  Object: {kind: director, id: objectId, ra: coord_ra, dec: coord_dec}\n"
    )
    (scratch / "objects.csv").write_text(FIVE_OBJECTS)
    os.environ["QSERV_CLUSTER"] = str(scratch / "cluster")
    qserv("cluster", "init", str(scratch / "cluster"), "--workers", "1")
    try:
        qserv("schema", "load", str(scratch / "few.yaml"), "--partition", str(scratch / "partition.yaml"))
        qserv("ingest", "run", "--database", "dr1", "--table", "Object", str(scratch / "objects.csv"))
        qserv("publish", "dr1")
        counted = qserv("query", "--format", "csv", "SELECT COUNT(*) AS n FROM dr1.Object WHERE coord_dec < 30")
        assert counted.split() == ["n", "4"], counted
    finally:
        qserv("cluster", "stop")


if __name__ == "__main__":
    check_installation()
    check_kernels()
    assert "ingest" in qserv("--help")
    check_cluster(Path(sys.argv[1]))
