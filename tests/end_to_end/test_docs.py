"""Every example of README.md and docs/ is run as a reader would, on real clusters.

Most pages need not show again that a command imports what it needs: ``support.warm`` runs their commands.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support import examples
from support.butler_repository import make_repository
from support.postgres import private_directory
from support.warm.programs import WarmPrograms, warm_programs

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NGC = ROOT.parent / "shared" / "data" / "NGC.csv"
QSERV = Path(sys.executable).with_name("qserv")

ON_THE_DEMO = [
    "README.md",
    "docs/explanation/architecture.md",
    "docs/explanation/qserv.md",
    "docs/explanation/running-queries.md",
    "docs/how-to/identity.md",
    "docs/how-to/query.md",
    "docs/how-to/recover.md",
    "docs/how-to/serve.md",
    "docs/how-to/shard.md",
    "docs/reference/adql.md",
    "docs/reference/settings.md",
]
WITH_THEIR_OWN_CLUSTER = [
    "docs/explanation/chunks.md",
    "docs/explanation/parts.md",
    "docs/how-to/cluster.md",
    "docs/how-to/load.md",
]
WITH_A_REPOSITORY = ["docs/how-to/ingest-butler.md"]
WITHOUT_A_CLUSTER = [
    "docs/explanation/instrument.md",
    "docs/explanation/kernels.md",
    "docs/explanation/single-frame.md",
    "docs/how-to/butler.md",
    "docs/how-to/simulate.md",
    "docs/reference/kernels.md",
]
LONG = ["docs/how-to/run-pipelines.md"]
AS_INSTALLED = {"README.md", "docs/how-to/cluster.md"}
"""Pages whose commands are started as a reader's are, as those of the tutorial; with this variable all are."""

PROCESSES = "QSERV_TEST_PROCESSES"
DEMO_OBJECTS = "20000"


def qserv(*arguments: str, check: bool = True) -> str:
    done = subprocess.run([QSERV, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert not check or done.returncode == 0, done.stdout
    return done.stdout


def stop_clusters(directory: Path) -> None:
    for cluster in directory.glob("*/cluster.json"):
        if not cluster.parent.is_symlink():
            qserv("cluster", "stop", "--cluster", str(cluster.parent), check=False)


def end_service(pid_file: Path) -> None:
    """End the service that a page started, when the page failed before it did so itself."""
    if pid_file.exists():
        with suppress(ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGTERM)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that the account of the servers can reach; clusters in it are stopped at the end."""
    directory = private_directory()
    yield directory
    stop_clusters(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def demo_cluster() -> Iterator[Path]:
    """The cluster of a small demo."""
    directory = private_directory()
    cluster = directory / "demo-cluster"
    qserv("demo", "--keep", "--objects", DEMO_OBJECTS, "--dir", str(cluster))
    yield cluster
    stop_clusters(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def warm_commands() -> Iterator[WarmPrograms]:
    with warm_programs() as programs:
        yield programs


@pytest.fixture
def warm(page: str, request: pytest.FixtureRequest) -> WarmPrograms | None:
    """What runs the commands of a page."""
    if page in AS_INSTALLED or os.environ.get(PROCESSES) == "1":
        return None
    programs: WarmPrograms = request.getfixturevalue("warm_commands")
    return programs


COMMANDS = r"""
python -c 'import sys; print(sys.argv, sys.path[0]); sys.exit(5)' a 'b c'
python -c 'import sys; print(sys.argv); sys.exit("the end")'
printf 'import sys\nprint(__name__, __file__, sys.argv, sys.path[0])' > one.py; python one.py two
echo text | python -c 'import sys; sys.stdout.write(sys.stdin.read()); sys.stderr.write("said")'
python --version
mkdir deep; cd deep; umask 027; NAME=me python -c 'import os; print(os.getcwd(), os.umask(0), os.environ["NAME"])'
python -c 'import atexit; atexit.register(print, "after"); print("before")'
python -c 'import threading; threading.Timer(0.1, print, ["thread"]).start()'
{ python -c 'import os; os.kill(os.getpid(), 9)'; } 2> /dev/null; echo $?
timeout 1 python -c 'import time; time.sleep(60)'; echo $?
python -c 'import os; print(sorted(os.listdir("/proc/self/fd"))[:4])' < /dev/null
qserv query --cluster nowhere 'SELECT 1'; echo $?
qserv cluster; echo $?
""".strip().splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_warm_command_does_what_the_installed_one_does(
    command: str, warm_commands: WarmPrograms, tmp_path: Path
) -> None:
    done = []
    for number, warm in enumerate((None, warm_commands)):
        directory = tmp_path / str(number) / "here"
        directory.mkdir(parents=True)
        code, printed = examples.Session(directory=directory, warm=warm).run(command)
        done.append((code, printed.replace(str(directory), "HERE")))
    assert done[0] == done[1]


@pytest.mark.parametrize("page", ON_THE_DEMO)
def test_examples_on_the_demo(page: str, warm: WarmPrograms | None, demo_cluster: Path, tmp_path: Path) -> None:
    if "\n$ curl " in (ROOT / page).read_text(encoding="utf-8") and shutil.which("curl") is None:
        pytest.skip("the page asks with curl, which is not on this machine")
    (tmp_path / "demo-cluster").symlink_to(demo_cluster)
    try:
        examples.run_page(ROOT / page, tmp_path, environment={"QSERV_CLUSTER": str(demo_cluster)}, warm=warm)
    finally:
        end_service(tmp_path / "serve.pid")
        (demo_cluster / "settings.yaml").unlink(missing_ok=True)


@pytest.mark.parametrize("page", WITH_THEIR_OWN_CLUSTER)
def test_examples_with_their_own_cluster(page: str, warm: WarmPrograms | None, scratch: Path) -> None:
    examples.run_page(ROOT / page, scratch, environment={}, warm=warm)


@pytest.mark.parametrize("page", WITH_A_REPOSITORY)
def test_examples_with_a_repository(page: str, warm: WarmPrograms | None, scratch: Path) -> None:
    repository = make_repository(scratch / "repo")
    repository.process([1, 2, 3], "night/run1")
    repository.put_visit_tables([1, 2, 3], "night/run1")
    repository.chain("night", ["night/run1"])
    repository.close()
    try:
        examples.run_page(ROOT / page, scratch, environment={}, warm=warm)
    finally:
        end_service(scratch / "watch.pid")


@pytest.mark.parametrize("page", WITHOUT_A_CLUSTER)
def test_examples_without_a_cluster(page: str, warm: WarmPrograms | None, tmp_path: Path) -> None:
    examples.run_page(ROOT / page, tmp_path, environment={}, warm=warm)


@pytest.mark.long
@pytest.mark.parametrize("page", LONG)
def test_examples_that_take_long(page: str, tmp_path: Path) -> None:
    examples.run_page(ROOT / page, tmp_path, environment={"XDG_STATE_HOME": str(tmp_path / "state")})


def test_the_tutorial(scratch: Path) -> None:
    if not NGC.exists():
        pytest.skip(f"{NGC} is not here; the catalogue is not part of the project")
    for name in ("ngc.yaml", "ngc-partition.yaml"):
        shutil.copy(DOCS / "examples" / name, scratch)
    shutil.copy(NGC, scratch)
    examples.run_page(DOCS / "tutorial.md", scratch, environment={})


def test_no_page_with_examples_is_forgotten() -> None:
    with_examples = {
        page.relative_to(ROOT).as_posix()
        for page in (ROOT / "README.md", *DOCS.rglob("*.md"))
        if any(
            example.kind in {"console", "python"} and not example.skipped
            for example in examples.examples_of(page.read_text())
        )
    }
    assert with_examples == {
        *ON_THE_DEMO,
        *WITH_THEIR_OWN_CLUSTER,
        *WITH_A_REPOSITORY,
        *WITHOUT_A_CLUSTER,
        *LONG,
        "docs/tutorial.md",
    }
