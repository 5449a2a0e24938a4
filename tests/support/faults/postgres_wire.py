"""As much of PostgreSQL's protocol as it takes to see which statement a client runs."""

# Packets before the session starts have no type. This one asks for TLS, and another start follows it.
SSL_REQUEST = 80877103
READY_AND_IDLE = b"Z\x00\x00\x00\x05I"


class Requests:
    """Reads one client's side of a connection, in pieces as they come."""

    def __init__(self) -> None:
        self._buffer = b""
        self._started = False
        self._prepared: dict[bytes, bytes] = {}
        self.in_transaction = False  # with all that was read; one that was committed is over

    def statements(self, data: bytes) -> list[bytes]:
        """The text of the statements that are run by what these bytes complete."""
        self._buffer += data
        run = []
        while (packet := self._next_packet()) is not None:
            kind, body = packet
            match kind:
                case b"P":  # parse
                    name, statement, _ = body.split(b"\0", 2)
                    self._prepared[name] = statement
                case b"B":  # bind
                    _, name, _ = body.split(b"\0", 2)
                    run.append(self._prepared.get(name, b""))
                case b"Q":  # simple query
                    run.append(body)
                    self._follow_transaction(body)
        return run

    def _follow_transaction(self, statement: bytes) -> None:
        if statement.startswith(b"BEGIN"):
            self.in_transaction = True
        elif statement.startswith((b"COMMIT;", b"ROLLBACK;")):
            self.in_transaction = False

    def _next_packet(self) -> tuple[bytes, bytes] | None:
        type_length = 1 if self._started else 0
        if len(self._buffer) < type_length + 4:
            return None
        end = type_length + int.from_bytes(self._buffer[type_length : type_length + 4], "big")
        if len(self._buffer) < end:
            return None
        kind, body = self._buffer[:type_length], self._buffer[type_length + 4 : end]
        self._buffer = self._buffer[end:]
        if not self._started:
            self._started = int.from_bytes(body[:4], "big") != SSL_REQUEST
        return kind, body


def is_idle(answers: bytes) -> bool:
    """Whether the server has answered in full, and has no transaction open."""
    return answers.endswith(READY_AND_IDLE)
