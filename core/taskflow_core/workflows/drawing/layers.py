"""Where the nodes of a graph stand: in layers from top to bottom, as Sugiyama, Tagawa and Toda draw them (1981).

Each node goes one layer below the lowest of those before it; a line that passes a layer has a place of its own there;
the order in each layer is that of the neighbours, and the places are as close below and above them as fits.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

GAP = 36.0  # between two neighbours of a layer
LAYER_GAP = 56.0  # between two layers
LINE_WIDTH = 12.0  # of a line that passes a layer
SWEEPS = 6
# Places of lines that pass layers, in all; where there would be more, the longest lines go straight.
MAX_PASSED = 5000


@dataclass(frozen=True)
class Size:
    """Width and height."""

    width: float
    height: float


@dataclass(frozen=True)
class Point:
    """From the left and from the top."""

    x: float
    y: float


@dataclass
class Layout:
    """The centre of each node, the points that each line passes, and the size of it all."""

    size: Size
    centres: dict[str, Point]
    lines: dict[tuple[str, str], list[Point]]


@dataclass
class _Item:
    """A node, or the place where a line passes a layer."""

    size: Size
    layer: int
    above: list["_Item"] = field(default_factory=list)
    below: list["_Item"] = field(default_factory=list)
    x: float = 0.0
    place: int = 0


def lay_out(sizes: Mapping[str, Size], lines: Iterable[tuple[str, str]]) -> Layout:
    """Place nodes of these sizes, with these lines between them. Lines that close a cycle are drawn, but place nothing."""
    wanted = list(dict.fromkeys(lines))
    layers = _layers(list(sizes), wanted)
    items = {node_id: _Item(size, layers[node_id]) for node_id, size in sizes.items()}
    passed: dict[tuple[str, str], list[_Item]] = {}
    left_over = MAX_PASSED
    for line in sorted(wanted, key=lambda line: layers[line[1]] - layers[line[0]]):
        between = layers[line[1]] - layers[line[0]] - 1
        if between >= 0:
            passed[line] = _connect(items, line, straight=between > left_over)
            left_over -= len(passed[line])
    rows: list[list[_Item]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for item in [*items.values(), *(item for way in passed.values() for item in way)]:
        rows[item.layer].append(item)
    _order(rows)
    _place(rows)
    tops = _tops(rows)
    middles = [top + max(item.size.height for item in row) / 2 for top, row in zip(tops, rows, strict=True)]
    left = min((item.x - item.size.width / 2 for row in rows for item in row), default=0.0)
    right = max((item.x + item.size.width / 2 for row in rows for item in row), default=0.0)
    bottom = tops[-1] + max(item.size.height for item in rows[-1]) if rows else 0.0
    return Layout(
        Size(right - left, bottom),
        {node_id: Point(item.x - left, middles[item.layer]) for node_id, item in items.items()},
        {line: [Point(item.x - left, middles[item.layer]) for item in way] for line, way in passed.items()},
    )


def _layers(node_ids: Sequence[str], lines: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of each node: that of the lowest before it, and one."""
    after: dict[str, list[str]] = {node_id: [] for node_id in node_ids}
    for source, target in lines:
        after[source].append(target)
    order = _reverse_postorder(node_ids, after)
    rank = {node_id: index for index, node_id in enumerate(order)}
    layers = dict.fromkeys(node_ids, 0)
    for source in order:
        for target in after[source]:
            if rank[target] > rank[source]:
                layers[target] = max(layers[target], layers[source] + 1)
    return layers


def _reverse_postorder(node_ids: Sequence[str], after: Mapping[str, Sequence[str]]) -> list[str]:
    """The nodes, each before all that it leads to, but for lines that close a cycle."""
    seen: set[str] = set()
    done: list[str] = []
    for start in reversed(node_ids):
        if start in seen:
            continue
        seen.add(start)
        stack = [(start, iter(reversed(after[start])))]
        while stack:
            node_id, targets = stack[-1]
            target = next((one for one in targets if one not in seen), None)
            if target is None:
                done.append(node_id)
                stack.pop()
            else:
                seen.add(target)
                stack.append((target, iter(reversed(after[target]))))
    return done[::-1]


def _connect(items: Mapping[str, _Item], line: tuple[str, str], *, straight: bool) -> list[_Item]:
    """Join the ends of a line, unless it is straight through a place in each layer between them; those places."""
    source, target = items[line[0]], items[line[1]]
    between = () if straight else range(source.layer + 1, target.layer)
    way = [_Item(Size(LINE_WIDTH, 0.0), layer) for layer in between]
    chain = [source, *way, target]
    for upper, lower in itertools.pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
    return way


def _order(rows: list[list[_Item]]) -> None:
    """Bring what belongs together next to each other, by going down and up a few times."""
    for row in rows:
        _number(row)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            keys = {}
            for item in row:
                neighbours = item.above if downwards else item.below
                keys[id(item)] = fmean(n.place for n in neighbours) if neighbours else float(item.place)
            row.sort(key=lambda item: keys[id(item)])
            _number(row)


def _number(row: list[_Item]) -> None:
    for place, item in enumerate(row):
        item.place = place


def _place(rows: list[list[_Item]]) -> None:
    """Give each its place from the left, close to the middle of its neighbours."""
    for row in rows:
        _spread(row, [0.0] * len(row))
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            wishes = []
            for item in row:
                neighbours = item.above if downwards else item.below
                wishes.append(fmean(n.x for n in neighbours) if neighbours else item.x)
            _spread(row, wishes)


def _spread(row: list[_Item], wishes: list[float]) -> None:
    """Place a row in its order, without overlaps, as near to the wishes as squares tell (isotonic regression)."""
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (left.size.width + right.size.width) / 2 + GAP)
    # Blocks of neighbours that touch: their wish on average, and how many they are.
    blocks: list[tuple[float, int]] = []
    for wish, offset in zip(wishes, offsets, strict=True):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean = (mean * count + other * others) / (count + others)
            count += others
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    for item, start, offset in zip(row, starts, offsets, strict=True):
        item.x = start + offset


def _tops(rows: list[list[_Item]]) -> list[float]:
    tops, top = [], 0.0
    for row in rows:
        tops.append(top)
        top += max(item.size.height for item in row) + LAYER_GAP
    return tops
