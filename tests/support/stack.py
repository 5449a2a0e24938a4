"""Where the tests of the whole stack find it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StackAddresses:
    """Where a running TaskFlow is reached: `rest` is a URL, `grpc` is `host:port`.

    Its email handler sends to `smtp_port` of this machine, where a test may listen.
    """

    rest: str
    grpc: str
    smtp_port: int
