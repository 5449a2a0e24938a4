"""How far an attempt has come, as its handler reports it."""

import math
from dataclasses import dataclass

MAX_MESSAGE = 500


@dataclass(frozen=True)
class Progress:
    """One report. `percent` is from 0 to 100; `current` of `total` units are done, zero if nothing is counted."""

    percent: float = 0.0
    message: str = ""
    current: float = 0.0
    total: float = 0.0
    unit: str = ""

    def followed_by(
        self,
        percent: float | None = None,
        message: str = "",
        *,
        current: float | None = None,
        total: float | None = None,
        unit: str = "",
    ) -> "Progress":
        """The report that comes after this one.

        Without `percent` it follows from `current` and `total`, and if these say nothing either, it stays
        where it was. Raises ValueError for a number that is not finite.
        """
        check_finite(percent=percent, current=current, total=total)
        if percent is None:
            percent = 100 * float(current) / float(total) if current is not None and total else self.percent
        return Progress(
            percent=min(max(float(percent), 0.0), 100.0),
            message=message[:MAX_MESSAGE],
            current=float(current or 0),
            total=float(total or 0),
            unit=unit,
        )


def check_finite(*, percent: float | None, current: float | None, total: float | None) -> None:
    """Raises ValueError for a number that is not finite."""
    # Written out, for it is asked a thousand times a second.
    if percent is not None and not math.isfinite(percent):
        raise _not_finite("percent", percent)
    if current is not None and not math.isfinite(current):
        raise _not_finite("current", current)
    if total is not None and not math.isfinite(total):
        raise _not_finite("total", total)


def _not_finite(name: str, number: float) -> ValueError:
    return ValueError(f"progress: {name} must be a finite number, not {number}")
