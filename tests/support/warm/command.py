# What `qserv` and `python` of programs.py do, below a line with PYTHON and SCRIPT: ask the server for a child, pass
# signals on to it, and end as it ends. Without a server they start as they are installed.
# Only modules written in C are imported: each other one would take as long as all the rest.
# ruff: noqa: F821
import _signal
import _socket
import marshal
import posix
import sys

arguments = SCRIPT + sys.argv[1:]
address = posix.environ.pop(b"QSERV_TEST_WARM", None)
if address is None or not arguments or (arguments[0].startswith("-") and arguments[0] != "-c"):
    posix.execve(PYTHON, [PYTHON, *arguments], posix.environ)

mask = posix.umask(0)
posix.umask(mask)
request = marshal.dumps((arguments, posix.getcwdb(), posix.environ, mask))
server = _socket.socket(_socket.AF_UNIX)
server.connect(address)
files = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
server.sendmsg([len(request).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
server.sendall(request)
child = int.from_bytes(server.recv(4, _socket.MSG_WAITALL), "big")
for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM):
    _signal.signal(number, lambda number, _: posix.kill(child, number))
code = int.from_bytes(server.recv(4, _socket.MSG_WAITALL), "big", signed=True)
if code < 0:
    if -code != _signal.SIGKILL:
        _signal.signal(-code, _signal.SIG_DFL)
    posix.kill(posix.getpid(), -code)
posix._exit(code)
