"""A lineage graph as one inline SVG, drawn in layers: what a table is made of stands to its left.

The steps are those of Sugiyama, Tagawa and Toda (https://doi.org/10.1109/TSMC.1981.4308636): layers, a spot in each
layer that an edge crosses, an order in each layer with few crossings, and a height for each spot. Edges of one table
share their spots, so that they run as one line until they part.
"""

import re
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from markupsafe import Markup

ROW = 26
"""Pixels from one box to the next."""
BOX = 20
"""Pixels that a box is high."""
LINE = 9
"""Pixels that an edge takes up where it passes a layer."""
CHARACTER = 7.3
"""Pixels that a character is wide, in the 12 px monospace of the style sheet."""
PADDING = 8
GAP = 46
"""Pixels between two layers, for the edges."""
HEADING_CHARACTER = 8
"""Pixels to keep for a character of a heading."""
HEADER = 40
"""Pixels above the first row."""
MARGIN = 12
SWEEPS = 12
"""Rounds over all layers, for the order and again for the heights; later ones change next to nothing."""

Edge = tuple[str, str]


@dataclass(frozen=True)
class Node:
    """One table, topic or use of the data.

    Args:
        name: Its full name, for example `gold.ratings`.
        column: Its place from the left, 0 for the first.
        href: Where its page is, relative to the page with the drawing.
    """

    name: str
    column: int
    href: str


@dataclass(frozen=True)
class Models:
    """What a dbt manifest tells of lineage.

    Args:
        folders: By full name where it stands in the project: `source`, `staging`, `intermediate`, `marts/core` and
            the like, or `exposure`.
        edges: Source and target of each dependency, by full name.
    """

    folders: dict[str, str]
    edges: list[Edge]


class _Spot(NamedTuple):
    """A place in a layer: a table's box, or where the edges of a table pass."""

    name: str
    layer: int
    is_box: bool

    @property
    def height(self) -> int:
        return ROW if self.is_box else LINE


@dataclass
class _Plan:
    """The layers of a drawing, and what becomes of them.

    Args:
        layers: The spots of each, from above.
        chains: The spots that each edge runs over, from left to right.
        left: The spots that a spot is joined to in the layer before its own.
        right: Those in the layer behind it.
        middle: The height of each spot's middle, in pixels.
    """

    layers: list[list[_Spot]]
    chains: dict[Edge, list[_Spot]]
    left: dict[_Spot, list[_Spot]] = field(default_factory=lambda: defaultdict(list))
    right: dict[_Spot, list[_Spot]] = field(default_factory=lambda: defaultdict(list))
    middle: dict[_Spot, float] = field(default_factory=dict)


def draw(
    nodes: Sequence[Node],
    edges: Iterable[Edge],
    headings: Sequence[str],
    label: str,
    highlight: str = "",
) -> Markup:
    """Draw a graph; the same graph in the same order gives the same drawing.

    Args:
        nodes: What to draw; each name once.
        edges: Source and target, by name. One that names something else, or joins a node to itself, is left out.
        headings: What stands above each column.
        label: What the drawing shows, for those who do not see it.
        highlight: The node that stands out with all it is made of and all that is made of it; empty for none.

    Returns:
        A `<div class="lineage">` that scrolls sideways, with the `<svg>` in it. Edges lead from left to right; one
        whose target stands further left has the class `back`. Colours are left to the style sheet.

    Raises:
        KeyError: There is no node `highlight`.
    """
    by_name = {node.name: node for node in nodes}
    joined = [
        (source, target)
        for source, target in dict.fromkeys(edges)
        if source != target and source in by_name and target in by_name
    ]
    plan = _plan(nodes, joined)
    _reorder(plan)
    _raise_and_lower(plan)
    tones = _Tones(by_name[highlight].name, joined) if highlight else _Tones("", ())
    return _Canvas(plan, by_name, headings, tones).render(label)


def neighbourhood(
    nodes: Sequence[Node], edges: Iterable[Edge], name: str, steps: int = 1
) -> tuple[list[Node], list[Edge]]:
    """The part of a graph for one table's page: what leads to it and what it leads to.

    Args:
        nodes: The whole graph.
        edges: Source and target, by name.
        name: The table.
        steps: How many edges to go in both directions. From a bronze table it goes on to its topic.

    Returns:
        The nodes and edges of all these ways, in the order they were given.
    """
    known = list(dict.fromkeys(edges))
    kept: set[Edge] = set()
    upstream, sources, targets = {name}, {name}, {name}
    for _ in range(steps):
        before = [edge for edge in known if edge[1] in sources]
        behind = [edge for edge in known if edge[0] in targets]
        kept.update(before, behind)
        sources = {source for source, _ in before}
        targets = {target for _, target in behind}
        upstream |= sources
    kept.update(edge for edge in known if edge[0].startswith("topic.") and edge[1] in upstream)
    ends = {name, *(end for edge in kept for end in edge)}
    return [node for node in nodes if node.name in ends], [edge for edge in known if edge in kept]


def column_id(heading: str) -> str:
    """The anchor of a column in a drawing, for a link that brings it into view."""
    return f"column-{re.sub(r'[^a-z]+', '-', heading.lower())}"


def from_manifest(manifest: Mapping[str, Any]) -> Models:
    """Read the lineage of sources, models and exposures off dbt's `manifest.json`.

    Args:
        manifest: The file's content, as dbt 1.11 writes it (https://schemas.getdbt.com/dbt/manifest/v12.json).

    Returns:
        Sources named as their tables (`silver.events`), models by their folder (`staging.stg_events`,
        `intermediate.int_user_days`, those of `marts` as `gold.ratings`), and exposures as `exposure.docs_site`.
        Tests and the like are no part of it.
    """
    models = {
        key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"
    }
    places = {
        **{
            key: (f"{one['schema']}.{one['name']}", "source")
            for key, one in manifest["sources"].items()
        },
        **{key: _place_of_model(node) for key, node in models.items()},
        **{
            key: (f"exposure.{one['name']}", "exposure")
            for key, one in manifest["exposures"].items()
        },
    }
    edges = {
        (places[source][0], places[key][0])
        for key, node in {**models, **manifest["exposures"]}.items()
        for source in node["depends_on"]["nodes"]
        if source in places
    }
    return Models(dict(sorted(places.values())), sorted(edges))


def _place_of_model(node: Mapping[str, Any]) -> tuple[str, str]:
    """A model's full name and its folder; `fqn` is the project, the folders and the name."""
    _, *folders, name = node["fqn"]
    layer = "gold" if folders[0] == "marts" else folders[0]
    return f"{layer}.{name}", "/".join(folders)


# --- Layers --------------------------------------------------------------------------------------


def _plan(nodes: Sequence[Node], edges: Sequence[Edge]) -> _Plan:
    """Boxes in their layers, in the order of `nodes`, and a spot in every layer that an edge crosses."""
    layer = _layers(nodes, edges)
    layers: list[list[_Spot]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in nodes:
        layers[layer[node.name]].append(_Spot(node.name, layer[node.name], is_box=True))
    plan = _Plan(layers, {})
    seen = set[_Spot]()
    for source, target in edges:
        first, last = sorted((source, target), key=layer.__getitem__)
        between = [
            _Spot(source, number, is_box=False) for number in range(layer[first] + 1, layer[last])
        ]
        for spot in between:
            if spot not in seen:
                layers[spot.layer].append(spot)
        seen.update(between)
        ends = [_Spot(one, layer[one], is_box=True) for one in (first, last)]
        plan.chains[source, target] = [ends[0], *between, ends[1]]
    for one, other in dict.fromkeys(
        step for chain in plan.chains.values() for step in pairwise(chain)
    ):
        plan.right[one].append(other)
        plan.left[other].append(one)
    return plan


def _layers(nodes: Sequence[Node], edges: Iterable[Edge]) -> dict[str, int]:
    """The layer of each node: a column has as many as the longest way within it has nodes.

    What nothing in its column is made of stands in the last one. There it is next to what follows, and so many tables
    of one source have a layer in common that one line leads to.
    """
    column = {node.name: node.column for node in nodes}
    targets: dict[str, list[str]] = {node.name: [] for node in nodes}
    for source, target in edges:
        if column[source] == column[target]:
            targets[source].append(target)
    from_right = _from_right(targets)
    spots = sorted({(column[name], -number) for name, number in from_right.items()})
    places = {spot: number for number, spot in enumerate(spots)}
    return {name: places[column[name], -number] for name, number in from_right.items()}


def _from_right(targets: Mapping[str, list[str]]) -> dict[str, int]:
    """How far each node is from the end of the longest way that leaves it; a circle is cut at its first node."""
    found: dict[str, int] = {}
    while waiting := [name for name in targets if name not in found]:
        free = [name for name in waiting if all(one in found for one in targets[name])]
        for name in free or waiting[:1]:
            known = [found[one] for one in targets[name] if one in found]
            found[name] = 1 + max(known, default=-1)
    return found


# --- Order and heights ---------------------------------------------------------------------------


def _reorder(plan: _Plan) -> None:
    """Order each layer by the mean place of what its spots are joined to, in turns from the left and from the right."""
    best, fewest = list(plan.layers), _crossings(plan)
    for sweep in range(SWEEPS):
        neighbours, numbers = (
            (plan.left, range(1, len(plan.layers)))
            if sweep % 2 == 0
            else (plan.right, range(len(plan.layers) - 2, -1, -1))
        )
        for number in numbers:
            place = {
                spot: index / max(len(layer) - 1, 1)
                for layer in plan.layers
                for index, spot in enumerate(layer)
            }
            middle = {
                spot: _mean([place[one] for one in neighbours[spot]], place[spot])
                for spot in plan.layers[number]
            }
            plan.layers[number] = sorted(plan.layers[number], key=middle.__getitem__)
        if (crossings := _crossings(plan)) < fewest:
            best, fewest = list(plan.layers), crossings
    plan.layers = best


def _crossings(plan: _Plan) -> int:
    """How often two edges cross between two layers."""
    place = {spot: index for layer in plan.layers for index, spot in enumerate(layer)}
    crossings = 0
    for layer in plan.layers:
        seen: list[int] = []
        for spot in layer:
            ends = sorted(place[one] for one in plan.right[spot] if one.layer != spot.layer)
            crossings += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return crossings


def _raise_and_lower(plan: _Plan) -> None:
    """Give each spot the height of what it is joined to, as far as its layer's order and the rows allow."""
    offsets = [_offsets(layer) for layer in plan.layers]
    tallest = max((column[-1] for column in offsets if column), default=0.0)
    for layer, column in zip(plan.layers, offsets, strict=True):
        above = (tallest - column[-1]) / 2
        plan.middle.update(zip(layer, (above + offset for offset in column), strict=True))
    for sweep in range(SWEEPS):
        order = range(len(plan.layers))
        for number in order if sweep % 2 == 0 else reversed(order):
            layer = plan.layers[number]
            wanted = [
                _mean(
                    [plan.middle[one] for one in plan.left[spot] + plan.right[spot]],
                    plan.middle[spot],
                )
                for spot in layer
            ]
            plan.middle.update(zip(layer, _apart(wanted, offsets[number]), strict=True))
    top = min((plan.middle[spot] for layer in plan.layers for spot in layer), default=0.0)
    plan.middle = {spot: middle - top for spot, middle in plan.middle.items()}


def _offsets(layer: Sequence[_Spot]) -> list[float]:
    """How far below the first spot each one stands when they are next to each other."""
    offsets = [0.0] * len(layer)
    for number, (one, other) in enumerate(pairwise(layer), start=1):
        offsets[number] = offsets[number - 1] + (one.height + other.height) / 2
    return offsets


def _apart(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """Heights as near to the wanted ones as can be (least squares), none closer to the next than the offsets say.

    Isotonic regression, by pooling adjacent violators (https://doi.org/10.1214/aoms/1177728423).
    """
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        mean, size = want - offset, 1
        while pools and pools[-1][0] > mean:
            other, members = pools.pop()
            mean = (mean * size + other * members) / (size + members)
            size += members
        pools.append((mean, size))
    bases = [mean for mean, size in pools for _ in range(size)]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


# --- Drawing -------------------------------------------------------------------------------------


class _Tones:
    """Which nodes and edges stand out.

    Args:
        highlight: The node they are near to; empty when none stands out.
        edges: The whole graph.
    """

    def __init__(self, highlight: str, edges: Iterable[Edge]) -> None:
        self.highlight = highlight
        self.ways: list[set[str]] = []
        both = list(edges)
        for direction in (both, [(target, source) for source, target in both]):
            behind = defaultdict(list)
            for one, other in direction:
                behind[one].append(other)
            reached, waiting = {highlight}, [highlight]
            while waiting:
                new = set(behind[waiting.pop()]) - reached
                reached |= new
                waiting += new
            self.ways.append(reached)

    def of(self, *names: str) -> str:
        """The class of a node, or of the edge between two, with a space before it; empty when none stands out."""
        if not self.highlight:
            return ""
        if names == (self.highlight,):
            return " near here"
        return " near" if any(way.issuperset(names) for way in self.ways) else " far"


class _Canvas:
    """A plan on its way to an SVG.

    Args:
        plan: Where everything stands.
        nodes: The nodes, by name.
        headings: What stands above each column.
        tones: Which nodes and edges stand out.
    """

    def __init__(
        self, plan: _Plan, nodes: Mapping[str, Node], headings: Sequence[str], tones: _Tones
    ) -> None:
        self.plan = plan
        self.nodes = nodes
        self.headings = headings
        self.tones = tones
        self.widths: list[int] = []
        self.lefts: list[int] = []
        self.layers_of: dict[int, list[int]] = defaultdict(list)
        self.end = self.end_of_heading = 0
        for number, layer in enumerate(plan.layers):
            self._add(number, [spot.name for spot in layer if spot.is_box])
        self.width = max(self.end, self.end_of_heading) + MARGIN

    def _add(self, layer: int, names: Sequence[str]) -> None:
        """Put a layer to the right of the others; a new column also leaves the heading before it its room."""
        column = self.nodes[names[0]].column
        left = self.end + GAP if layer else MARGIN
        if column not in self.layers_of:
            left = max(left, self.end_of_heading + MARGIN)
            self.end_of_heading = left + len(self.headings[column]) * HEADING_CHARACTER
        self.layers_of[column].append(layer)
        self.lefts.append(left)
        self.widths.append(max(map(_width, names)))
        self.end = left + self.widths[-1]

    def render(self, label: str) -> Markup:
        """The whole drawing; `label` says what it shows."""
        lowest = max(self.plan.middle.values(), default=0.0)
        return Markup(
            '<div class="lineage" role="region" tabindex="0" aria-label="{label}">'
            '<svg xmlns="http://www.w3.org/2000/svg" role="group" aria-label="{label}"'
            ' width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            '<g aria-hidden="true">{edges}</g>{columns}</svg></div>'
        ).format(
            label=label,
            width=self.width,
            height=round(HEADER + lowest + ROW + MARGIN),
            edges=self._edges(),
            columns=Markup("").join(map(self._column, self.layers_of)),
        )

    def _column(self, column: int) -> Markup:
        """A heading over all layers of a column, and the boxes in the order in which a keyboard reaches them."""
        layers = self.layers_of[column]
        spots = [spot for layer in layers for spot in self.plan.layers[layer] if spot.is_box]
        return Markup(
            '<g id="{id}" role="group" aria-label="{heading}"><g class="heading" aria-hidden="true">'
            '<text x="{left}" y="{text}">{heading}</text><path d="M{left} {line}H{right}"/>'
            "</g>{boxes}</g>"
        ).format(
            id=column_id(self.headings[column]),
            heading=self.headings[column],
            left=self.lefts[layers[0]],
            right=self.lefts[layers[-1]] + self.widths[layers[-1]],
            text=MARGIN + 8,
            line=MARGIN + 15,
            boxes=Markup("").join(map(self._box, spots)),
        )

    def _box(self, spot: _Spot) -> Markup:
        left, middle = self.lefts[spot.layer], self._middle(spot)
        return Markup(
            '<a href="{href}"><title>{name}</title><g class="node{tone}">'
            '<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4"/>'
            '<text x="{text_x}" y="{text_y}">{text}</text></g></a>'
        ).format(
            href=self.nodes[spot.name].href,
            name=spot.name,
            tone=self.tones.of(spot.name),
            x=left,
            y=middle - BOX // 2,
            width=self.widths[spot.layer],
            height=BOX,
            text_x=left + PADDING,
            text_y=middle + 4,
            text=_short(spot.name),
        )

    def _edges(self) -> Markup:
        """All edges, those that stand out last and so above the others."""
        drawn = []
        for (source, target), chain in self.plan.chains.items():
            is_back = chain[0].name != source
            tone = self.tones.of(source, target)
            path = self._path(chain[::-1], "left") if is_back else self._path(chain, "right")
            drawn.append((tone == " near", f"edge{tone}{' back' if is_back else ''}", path))
        return Markup("").join(
            Markup('<path class="{}" d="{}"/>').format(classes, path)
            for _, classes, path in sorted(drawn, key=lambda one: one[0])
        )

    def _path(self, chain: Sequence[_Spot], side: str) -> str:
        """The way of an edge over its spots, with a small arrow where it ends.

        Args:
            chain: The spots, from the source to the target.
            side: The side of the source on which it leaves: `right` or `left`.
        """
        if chain[0].layer == chain[-1].layer:
            return self._arc(*chain)
        leaves, arrives = (
            (self._right, self._left) if side == "right" else (self._left, self._right)
        )
        steps = [f"M{leaves(chain[0])} {self._middle(chain[0])}"]
        for one, other in pairwise(chain):
            x, y, end = leaves(one), self._middle(one), self._middle(other)
            bend = (x + arrives(other)) // 2
            steps.append(f"C{bend} {y} {bend} {end} {arrives(other)} {end}")
            if not other.is_box:
                steps.append(f"H{leaves(other)}")
        return "".join(steps) + ("m-5-3l5 3l-5 3" if side == "right" else "m5-3l-5 3l5 3")

    def _arc(self, source: _Spot, target: _Spot) -> str:
        """A way round from one box to another in the same layer, as only a circle has it."""
        x, y, end = self._right(source), self._middle(source), self._middle(target)
        return f"M{x} {y}C{x + MARGIN} {y} {x + MARGIN} {end} {x} {end}m5-3l-5 3l5 3"

    def _left(self, spot: _Spot) -> int:
        return self.lefts[spot.layer]

    def _right(self, spot: _Spot) -> int:
        return self.lefts[spot.layer] + self.widths[spot.layer]

    def _middle(self, spot: _Spot) -> int:
        return round(HEADER + ROW / 2 + self.plan.middle[spot])


def _short(name: str) -> str:
    """The name without the layer before it, which the column tells."""
    return name.partition(".")[2] or name


def _width(name: str) -> int:
    return round(len(_short(name)) * CHARACTER) + 2 * PADDING
