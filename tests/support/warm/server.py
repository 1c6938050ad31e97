"""The process that has imported our modules, runs nothing itself, and forks a child for each program it is asked for.

It is started by `programs.warm_programs`. A child is a process like any other: it has the asker's arguments, directory,
environment and open files, and ends by its own exit code or signal.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import marshal
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
import types
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

READY = "ready\n"
_NUMBER = 4
"""Bytes of a number between the processes."""


@dataclass(frozen=True)
class Program:
    """What a child runs."""

    arguments: list[str]
    """Those of ``python``: a script, or ``-c`` and a text, and what follows."""

    directory: bytes
    environment: dict[bytes, bytes]
    mask: int
    files: tuple[int, ...]
    """Standard input, output and error."""


@dataclass
class Server:
    """Forks for each that asks, until it is ended."""

    listener: socket.socket
    events: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    children: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)
    """A child's pid and who asked for it, by the descriptor that tells when it ends."""

    def next_program(self) -> Program:
        """Return, in a child, what it shall run; the server itself never returns."""
        self.events.register(self.listener, selectors.EVENT_READ)
        while True:
            for key, _ in self.events.select():
                if key.fd in self.children:
                    self._tell_end(key.fd)
                elif key.fileobj is self.listener:
                    asker, _ = self.listener.accept()
                    program = _receive(asker)
                    pid = os.fork()
                    if not pid:
                        self._let_go(asker)
                        return program
                    for descriptor in program.files:
                        os.close(descriptor)
                    self._watch(pid, asker)
                else:  # whoever asked says nothing more: it was killed
                    self.events.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)

    def _watch(self, pid: int, asker: socket.socket) -> None:
        descriptor = os.pidfd_open(pid)
        self.children[descriptor] = pid, asker
        self.events.register(descriptor, selectors.EVENT_READ)
        self.events.register(asker, selectors.EVENT_READ, pid)
        with suppress(OSError):
            asker.sendall(pid.to_bytes(_NUMBER, "big"))

    def _tell_end(self, descriptor: int) -> None:
        pid, asker = self.children.pop(descriptor)
        self.events.unregister(descriptor)
        os.close(descriptor)
        with suppress(KeyError):
            self.events.unregister(asker)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with asker, suppress(OSError):
            asker.sendall(code.to_bytes(_NUMBER, "big", signed=True))

    def _let_go(self, asker: socket.socket) -> None:
        """Close, in a child, what is the server's."""
        self.events.close()
        self.listener.close()
        asker.close()
        for descriptor, (_, other) in self.children.items():
            os.close(descriptor)
            other.close()


def _receive(asker: socket.socket) -> Program:
    size, files, _, _ = socket.recv_fds(asker, _NUMBER, 3)
    rest = int.from_bytes(size, "big")
    request = asker.recv(rest, socket.MSG_WAITALL)
    return Program(*marshal.loads(request), tuple(files))


def run(program: Program) -> NoReturn:
    """Become the process of a program, and end with it."""
    for number, descriptor in enumerate(program.files):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.umask(program.mask)
    os.chdir(program.directory)
    os.environb.clear()
    os.environb.update(program.environment)
    code = 1
    try:
        _run_python(program.arguments)
        code = 0
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException:  # as the interpreter does
        sys.excepthook(*sys.exc_info())
    # What an interpreter does at its end, but for taking down thousands of modules that were not the program's.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    os._exit(code)


def _run_python(arguments: list[str]) -> None:
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if arguments[0] == "-c":
        text, name = arguments[1], "<string>"
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
    else:
        script = Path(arguments[0]).absolute()
        text, name = script.read_text(encoding="utf-8"), str(script)
        sys.argv, sys.path[0] = arguments, str(script.resolve().parent)
        main.__file__ = name
    exec(compile(text, name, "exec"), vars(main))


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def import_product() -> None:
    """Import each module of the product that this machine can import; a command says itself what is missing."""
    from qserv_py.cli.plain_arrow import leave_pandas_out

    leave_pandas_out()
    package = importlib.import_module("qserv_py")
    for module in pkgutil.walk_packages(package.__path__, "qserv_py."):
        with suppress(ImportError):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def main() -> None:
    """Import, say that it is done, and serve."""
    import_product()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        sys.stdout.write(READY)
        sys.stdout.flush()
        program = Server(listener).next_program()
    run(program)


if __name__ == "__main__":
    main()
