"""Build the C kernels as an extension of cffi's API mode; ``setup.py`` names this file in ``cffi_modules``.

The declarations are read from the public C header, so there is one list of functions. ``QSERV_KERNELS_SANITIZE=1``
builds with AddressSanitizer and UndefinedBehaviorSanitizer, for ``make test-sanitize``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cffi import FFI

FOLDER = Path("pipelines/kernels/c")  # relative to setup.py, as setuptools wants its sources
# No fused multiply-add and no reordering: results do not depend on the processor. errno and traps are never read.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1")


def declarations(header: Path) -> str:
    """Return what cffi reads: the header without the lines of the preprocessor."""
    return re.sub(r"^#.*\n", "", header.read_text(), flags=re.MULTILINE)


def builder(root: Path) -> FFI:
    """Return cffi's description of the extension; ``root`` is the directory of ``setup.py``."""
    sanitize = SANITIZE if os.environ.get("QSERV_KERNELS_SANITIZE") == "1" else ()
    found = FFI()
    found.cdef(declarations(root / FOLDER / "kernels.h"))
    found.set_source(
        "qserv_py.pipelines.kernels._native",
        '#include "kernels.h"',
        sources=sorted(str(path.relative_to(root)) for path in (root / FOLDER).glob("*.c")),
        depends=sorted(str(path.relative_to(root)) for path in (root / FOLDER).glob("*.h")),
        include_dirs=[str(FOLDER)],
        extra_compile_args=[*FLAGS, *sanitize],
        extra_link_args=[flag for flag in sanitize if flag.startswith("-fsanitize")],
        libraries=["m"],
        # A catalogue can be served without a C compiler; whoever calls a kernel is told what is missing.
        optional=not sanitize,
    )
    return found


ffi = builder(Path.cwd())
