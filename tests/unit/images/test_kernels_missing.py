"""What a user without a C compiler is told, and that everything else of the package does not need the kernels."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = "import sys; sys.modules['qserv_py.pipelines.kernels._native'] = None\n"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", WITHOUT + code], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def test_the_missing_library_is_named() -> None:
    said = run(
        "from qserv_py.errors import ConfigError\n"
        "try:\n    import qserv_py.pipelines.kernels.detection\n"
        "except ConfigError as error:\n    print(error.render())\n"
    )
    assert said.startswith("the image kernels are not built\n")
    assert "HINT: They need gcc and the header files of Python" in said


def test_the_rest_works() -> None:
    assert run("import qserv_py, qserv_py.client, qserv_py.cli.main, qserv_py.pipelines; print('fine')") == "fine\n"
