"""Free TCP ports on the loopback interface."""

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"

# Below the ranges from which systems take the ports of outgoing connections, so that none of those takes
# one of ours between a crash and the restart.
RANGE = range(20_000, 32_000)


def free_port() -> int:
    """Returns a port that nobody listens on."""
    for port in random.sample(RANGE, k=100):
        if is_free(port):
            return port
    raise RuntimeError(f"no free port on {LOOPBACK} between {RANGE.start} and {RANGE.stop}")


def is_free(port: int) -> bool:
    """Says whether a server could listen on this port now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Says whether somebody listens on this port now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
