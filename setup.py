"""Map the folders at the top of the repository into the one import package ``qserv_py``.

Everything else about the build stands in ``pyproject.toml``; the mapping needs code, because the folders ``sql``,
``workers``, ... must never be installed under those bare names, and so do the C kernels, which cffi builds.
"""

from pathlib import Path

from setuptools import setup

TOP_FOLDERS = ("sql", "partitioner", "workers", "ingest", "pipelines", "replication")
ROOT = Path(__file__).parent


def sub_packages(folder: str, name: str) -> list[str]:
    """Return ``name`` and every package below it, found by ``__init__.py``."""
    base = ROOT / folder
    found = [name]
    for init in sorted(base.rglob("__init__.py")):
        relative = init.parent.relative_to(base)
        # The committed links qserv_py/sql -> ../sql serve static tools; builds use the mapping instead.
        if not relative.parts or relative.parts[0] in TOP_FOLDERS:
            continue
        found.append(".".join((name, *relative.parts)))
    return found


packages = sub_packages("qserv_py", "qserv_py")
for top in TOP_FOLDERS:
    packages += sub_packages(top, f"qserv_py.{top}")

setup(
    packages=packages,
    cffi_modules=["pipelines/kernels/build.py:ffi"],
    package_dir={"qserv_py": "qserv_py", **{f"qserv_py.{top}": top for top in TOP_FOLDERS}},
)
