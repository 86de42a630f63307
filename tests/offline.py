"""Run a command where there is no network: `python tests/offline.py LOG COMMAND...`, on Linux.

It runs in a network namespace of its own, in which this machine can talk to itself and to nobody else, so nothing gets
out, whatever asks. And whoever asks all the same, from Python, gets a line in LOG, one that hides its failure too.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

NAMESPACE = ("unshare", "--map-root-user", "--net")
SET_FLAGS, UP = 0x8914, 0x41  # of linux/sockios.h: SIOCSIFFLAGS; of linux/if.h: IFF_UP and IFF_RUNNING
# Python reads it at every start, kernels of notebooks and workers included.
LISTENER = """
import os, socket, sys

OWN = {"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", socket.gethostname()}
ASKED = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.connect": 1, "socket.sendto": 1}

def listen(event, given):
    if event in ASKED:
        place = given[ASKED[event]]
        host = place[0] if isinstance(place, tuple) else place if event.startswith("socket.get") else ""
        host = host.decode() if isinstance(host, bytes) else host or ""
        if host not in OWN:
            with open(os.environ["BOOK_NETWORK_LOG"], "a") as log:
                print(event, host, " ".join(sys.argv), file=log)

sys.addaudithook(listen)
"""


def can_isolate() -> bool:
    """Whether this machine lets us make such a namespace."""
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


def run(command: list[str], log: Path, **options: object) -> subprocess.CompletedProcess:
    """What the command came to; `log` holds a line for each thing that it asked of the network."""
    log.touch()
    inside = [*NAMESPACE, sys.executable, __file__, str(log), *command]
    return subprocess.run(inside, capture_output=True, encoding="utf-8", **options)


def main(log: str, *command: str) -> int:
    """Inside of the namespace: wake the way to oneself, without which no notebook runs, and start the command."""
    with socket.socket() as one:
        fcntl.ioctl(one, SET_FLAGS, struct.pack("16sh", b"lo", UP))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(LISTENER, encoding="utf-8")
        path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": path, "BOOK_NETWORK_LOG": log}).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
