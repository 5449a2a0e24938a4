"""How cron expressions are written, and what is said of wrong ones."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from taskflow_core.schedules.cron import Cron, DayRule, Days

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
RANGE = re.compile(r"(?P<star>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?", re.ASCII)
# A long time without days that do not exist, from which the first time is searched.
SOME_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - a local time


class BadCron(ValueError):
    """An expression is wrong. The message says where and how."""


@dataclass(frozen=True)
class Field:
    """What one field of an expression may say."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    special: str = ""  # what else is allowed, for the message

    @property
    def allowed(self) -> str:
        names = f", {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.low} to {self.high}{names}, *, lists, ranges and steps{self.special} are allowed"


SECONDS = Field("second", 0, 59)
MINUTES = Field("minute", 0, 59)
HOURS = Field("hour", 0, 23)
DAYS_OF_MONTH = Field("day of month", 1, 31, special=", L, LW and 15W")
MONTHS_OF_YEAR = Field("month", 1, 12, MONTHS)
DAYS_OF_WEEK = Field("day of week", 0, 7, WEEKDAYS, special=", fri#2 and friL")
FIELDS = (SECONDS, MINUTES, HOURS, DAYS_OF_MONTH, MONTHS_OF_YEAR, DAYS_OF_WEEK)


@dataclass(frozen=True)
class Item:
    """One item of the list in a field, and where it stands in the expression, from 1."""

    field: Field
    text: str
    position: int

    def wrong(self, what: str = "") -> BadCron:
        reason = f"{what}; {self.field.allowed}" if what else self.field.allowed
        return BadCron(f"{self.field.name} {self.text!r} at character {self.position} is wrong: {reason}")

    def number(self, word: str) -> int:
        """The value of a number or a name."""
        if word in self.field.names:
            return self.field.names.index(word) + (self.field.low if self.field is MONTHS_OF_YEAR else 0)
        if not (word.isdecimal() and len(word) <= 2):
            raise self.wrong()
        number = int(word)
        if not self.field.low <= number <= self.field.high:
            raise self.wrong(f"{number} is out of range")
        return number

    def values(self) -> range:
        """The values of a star, a number or a range, with its step."""
        span, slash, step_text = self.text.partition("/")
        match = RANGE.fullmatch(span)
        if match is None:
            raise self.wrong()
        low, high = self.field.low, min(self.field.high, 6) if self.field is DAYS_OF_WEEK else self.field.high
        if match["first"]:
            low = self.number(match["first"])
            if match["last"]:
                high = self.number(match["last"])
                # A week may end on Sunday.
                high = 7 if self.field is DAYS_OF_WEEK and high == 0 < low else high
            elif not slash:
                high = low
            if low > high:
                raise self.wrong(f"the range runs backwards; split it at {self.field.high}")
        return range(low, high + 1, self._step(step_text) if slash else 1)

    def _step(self, text: str) -> int:
        most = self.field.high - self.field.low
        if not (text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= most):
            raise self.wrong(f"a step is a number from 1 to {most}")
        return int(text)


# Many schedules are written alike.
@lru_cache(maxsize=4096)
def parse_cron(expression: str, *, whole_minutes: bool = False) -> Cron:
    """What an expression means. With `whole_minutes`, five fields match every second of their minutes.

    Raises BadCron if it is wrong or never matches.
    """
    text = MACROS.get(expression.strip().lower(), expression)
    if text.lstrip().startswith("@"):
        raise BadCron(f"{expression.strip()!r} is unknown; {', '.join(MACROS)} are allowed")
    words = list(re.finditer(r"\S+", text))
    if len(words) not in (5, 6):
        raise BadCron(
            f"it has {len(words)} fields; five are allowed (minute, hour, day of month, month, day of week), "
            "or six (second first)"
        )
    fields = FIELDS if len(words) == 6 else FIELDS[1:]
    items = {field: list(_items(field, word)) for field, word in zip(fields, words, strict=True)}
    unsaid = tuple(range(60)) if whole_minutes else (0,)
    cron = Cron(
        seconds=_values(items[SECONDS]) if SECONDS in items else unsaid,
        minutes=_values(items[MINUTES]),
        hours=_values(items[HOURS]),
        days_of_month=Days(tuple(map(_day_of_month, items[DAYS_OF_MONTH])), _star(items[DAYS_OF_MONTH])),
        months=_values(items[MONTHS_OF_YEAR]),
        days_of_week=Days(tuple(map(_day_of_week, items[DAYS_OF_WEEK])), _star(items[DAYS_OF_WEEK])),
        fixed_hours=not _star(items[HOURS]),
    )
    if cron.first(SOME_DAY) is None:
        raise BadCron("it never matches: these months have no such day")
    return cron


def _items(field: Field, word: re.Match[str]) -> Iterator[Item]:
    position = word.start() + 1
    for text in word[0].lower().split(","):
        item = Item(field, text, position)
        if not text:
            raise item.wrong("an item of the list is empty")
        yield item
        position += len(text) + 1


def _star(items: list[Item]) -> bool:
    return items[0].text.startswith("*")


def _values(items: list[Item]) -> tuple[int, ...]:
    return tuple(sorted({value for item in items for value in item.values()}))


def _day_of_month(item: Item) -> DayRule:
    if item.text == "l":
        return lambda _, length: {length}
    if item.text == "lw":
        return lambda first, length: {_nearest_workday(length, first, length)}
    if item.text.endswith("w"):
        day = item.number(item.text[:-1])
        return lambda first, length: {_nearest_workday(day, first, length)} if day <= length else set()
    days = item.values()
    return lambda _, length: {day for day in days if day <= length}


def _nearest_workday(day: int, first: int, length: int) -> int:
    """The day from Monday to Friday that is nearest to a day of the month, and in the same month."""
    match (first + day - 1) % 7:
        case 5:
            return day - 1 if day > 1 else day + 2
        case 6:
            return day + 1 if day < length else day - 2
        case _:
            return day


def _day_of_week(item: Item) -> DayRule:
    if "#" in item.text:
        name, _, nth_text = item.text.partition("#")
        weekday = item.number(name)
        if nth_text not in ("1", "2", "3", "4", "5"):
            raise item.wrong("after # stands a number from 1 to 5")
        nth = int(nth_text) - 1
        return lambda first, length: set(_days_of(weekday, first, length)[nth : nth + 1])
    if item.text.endswith("l"):
        if item.text == "l":
            raise item.wrong("before L stands the weekday")
        weekday = item.number(item.text[:-1])
        return lambda first, length: {_days_of(weekday, first, length)[-1]}
    weekdays = item.values()
    return lambda first, length: {day for weekday in weekdays for day in _days_of(weekday, first, length)}


def _days_of(weekday: int, first: int, length: int) -> range:
    """The days of a month on a weekday of cron, where 0 and 7 are Sunday."""
    return range(1 + (weekday - 1 - first) % 7, length + 1, 7)
