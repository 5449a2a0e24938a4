"""What a handler raises to choose how its attempt ends. Any other exception is an ordinary, retryable failure."""


class Retry(Exception):
    """The attempt failed and another follows, if the policy has one left.

    `delay` is the wait in seconds; None leaves it to the retry policy.
    """

    def __init__(self, delay: float | None = None, reason: str = "") -> None:
        super().__init__(reason or "the handler asked for another attempt")
        self.delay = delay
        self.reason = reason


class Fail(Exception):
    """The task failed for good: another attempt would end no better."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidPayload(Fail):
    """The payload is not what the handler takes; the reason names each wrong field."""
