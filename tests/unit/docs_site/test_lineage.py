"""The lineage graph: every table is a link, every edge leads where it should, and nothing in a name is markup."""

import random
import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from docs_site.lineage import Edge, Node, column_id, draw, from_manifest, neighbourhood
from docs_site.pages import render
from pipeline.docs_lineage import COLUMNS
from tests.unit.docs_site.conftest import AT

SVG = "{http://www.w3.org/2000/svg}"
HEADINGS = ["Topics", "Bronze", "Silver", "Staging"]


def _nodes(*names: str) -> list[Node]:
    """Nodes in the column of their layer."""
    layers = [heading.lower().removesuffix("s") for heading in HEADINGS]
    return [Node(name, layers.index(name.split(".")[0]), f"tables/{name}.html") for name in names]


NODES = _nodes(
    *("topic.user_logs", "topic.movie", "bronze.user_logs", "bronze.movie"),
    *("silver.movies", "silver.events", "silver.ratings", "silver.genres"),
    *("staging.stg_ratings", "staging.stg_genres"),
)
EDGES: list[Edge] = [
    ("topic.user_logs", "bronze.user_logs"),
    ("topic.movie", "bronze.movie"),
    ("bronze.user_logs", "silver.events"),
    ("bronze.movie", "silver.movies"),
    ("bronze.movie", "silver.genres"),
    ("silver.movies", "silver.events"),
    ("silver.events", "silver.ratings"),
    ("silver.ratings", "staging.stg_ratings"),
    ("silver.genres", "staging.stg_genres"),
]


class Drawing:
    """What a browser makes of a drawing."""

    def __init__(self, nodes: list[Node], edges: list[Edge], **more: str) -> None:
        self.root = ET.fromstring(draw(nodes, edges, HEADINGS, "Lineage", **more))
        self.svg = self.root[0]
        self.boxes = {link.findtext(f"{SVG}title", ""): link for link in self.svg.iter(f"{SVG}a")}
        self.edges = [
            path for path in self.svg.iter(f"{SVG}path") if "edge" in path.get("class", "").split()
        ]

    def place(self, name: str) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a box."""
        rect = next(self.boxes[name].iter(f"{SVG}rect"))
        left, top, width, height = (int(rect.get(key, "")) for key in ("x", "y", "width", "height"))
        return left, top, left + width, top + height

    def middle(self, name: str) -> int:
        _, top, _, bottom = self.place(name)
        return (top + bottom) // 2

    def tones(self) -> dict[str, str]:
        groups = {name: next(link.iter(f"{SVG}g")) for name, link in self.boxes.items()}
        return {name: group.get("class", "") for name, group in groups.items()}

    def ends(self) -> set[tuple[tuple[int, int], tuple[int, int]]]:
        """Where each edge begins and where it ends, before its arrow."""
        found = set()
        for path in self.edges:
            line = path.get("d", "").partition("m")[0]
            numbers = [int(number) for number in re.findall(r"-?\d+", line)]
            found.add(((numbers[0], numbers[1]), (numbers[-2], numbers[-1])))
        return found


def test_every_node_is_a_link_with_its_whole_name() -> None:
    drawing = Drawing(NODES, EDGES)
    assert {name: link.get("href") for name, link in drawing.boxes.items()} == {
        node.name: node.href for node in NODES
    }
    shown = {link.findtext(f".//{SVG}text") for link in drawing.boxes.values()}
    assert shown == {node.name.split(".")[1] for node in NODES}


def test_links_come_in_the_order_of_the_columns_and_edges_are_not_read_out() -> None:
    drawing = Drawing(NODES, EDGES)
    lefts = [drawing.place(name)[0] for name in drawing.boxes]
    assert lefts == sorted(lefts)
    silent = drawing.svg[0]
    assert silent.get("aria-hidden") == "true"
    assert list(silent) == drawing.edges
    assert (drawing.svg.get("role"), drawing.svg.get("aria-label")) == ("group", "Lineage")
    assert (drawing.root.get("class"), drawing.root.get("tabindex")) == ("lineage", "0")


def test_every_edge_joins_the_right_side_of_its_source_to_the_left_of_its_target() -> None:
    drawing = Drawing(NODES, EDGES)
    assert drawing.ends() == {
        (
            (drawing.place(source)[2], drawing.middle(source)),
            (drawing.place(target)[0], drawing.middle(target)),
        )
        for source, target in EDGES
    }
    for source, target in EDGES:
        assert drawing.place(source)[2] < drawing.place(target)[0], "also within a column"


def test_each_column_has_an_anchor_that_the_page_leads_to() -> None:
    drawing = draw(NODES, EDGES, HEADINGS, "Lineage")
    page = render("lineage.html", "lineage.html", AT, picture=drawing, columns=HEADINGS)
    for heading in HEADINGS:
        assert f'<a href="#{column_id(heading)}">{heading}</a>' in page
        assert page.count(f'id="{column_id(heading)}"') == 1
    assert len({column_id(column) for column in COLUMNS}) == len(COLUMNS)


def test_an_edge_to_a_column_further_left_says_so_and_ends_at_its_target() -> None:
    nodes = _nodes("bronze.a", "silver.b", "staging.c")
    drawing = Drawing(nodes, [("bronze.a", "silver.b"), ("staging.c", "bronze.a")])
    classes = sorted(path.get("class", "") for path in drawing.edges)
    assert classes == ["edge", "edge back"]
    assert (
        (drawing.place("staging.c")[0], drawing.middle("staging.c")),
        (drawing.place("bronze.a")[2], drawing.middle("bronze.a")),
    ) in drawing.ends()


@pytest.mark.parametrize("seed", range(5))
def test_boxes_never_overlap_and_all_stand_in_the_drawing(seed: int) -> None:
    """Any graph will do, circles and all."""
    chance = random.Random(seed)
    nodes = [
        Node(f"silver.{number}{'x' * chance.randrange(20)}", chance.randrange(4), "#")
        for number in range(40)
    ]
    edges = [(chance.choice(nodes).name, chance.choice(nodes).name) for _ in range(80)]
    drawing = Drawing(nodes, edges)
    assert len(drawing.edges) == len({(s, t) for s, t in edges if s != t})
    width, height = (int(drawing.svg.get(name, "")) for name in ("width", "height"))
    boxes = sorted(drawing.place(node.name) for node in nodes)
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    for one, other in pairwise(boxes):
        assert other[0] > one[2] or (other[0] == one[0] and other[1] > one[3])


def test_rows_are_ordered_so_that_edges_do_not_cross_where_they_need_not() -> None:
    sources, targets = [f"bronze.s{n}" for n in range(9)], [f"silver.t{n}" for n in range(9)]
    partner = dict(zip(sources, targets[4:] + targets[:4], strict=True))
    drawing = Drawing(_nodes(*sources, *targets), list(partner.items()))
    ranked = sorted(sources, key=drawing.middle)
    heights = [drawing.middle(partner[source]) for source in ranked]
    assert heights == sorted(heights)
    assert heights == [drawing.middle(source) for source in ranked], "and they run level"


def test_an_edge_passes_the_columns_between_beside_their_boxes() -> None:
    nodes = _nodes("topic.a", "bronze.b", "bronze.c", "bronze.d", "silver.e")
    edges = [("topic.a", name) for name in ("bronze.b", "bronze.c", "bronze.d", "silver.e")]
    edges += [(name, "silver.e") for name in ("bronze.b", "bronze.c", "bronze.d")]
    drawing = Drawing(nodes, edges)
    (passing,) = (path.get("d", "") for path in drawing.edges if "H" in path.get("d", ""))
    x, y, end = map(int, re.findall(r"(\d+) (\d+)H(\d+)", passing)[0])
    assert (x, end) == (drawing.place("bronze.b")[0], drawing.place("bronze.b")[2])
    for name in ("bronze.b", "bronze.c", "bronze.d"):
        _, top, _, bottom = drawing.place(name)
        assert not top <= y <= bottom


def test_what_leads_to_the_highlighted_table_and_from_it_is_near_and_all_else_far() -> None:
    drawing = Drawing(NODES, EDGES, highlight="silver.events")
    far = {"silver.genres", "staging.stg_genres"}
    expected = {node.name: "node far" if node.name in far else "node near" for node in NODES}
    assert drawing.tones() == expected | {"silver.events": "node near here"}
    classes = [path.get("class", "") for path in drawing.edges]
    assert classes.count("edge far") == 2
    assert classes == sorted(classes), "near edges lie above far ones"


def test_an_edge_between_two_near_tables_that_is_on_no_way_is_far() -> None:
    nodes = _nodes("topic.a", "bronze.b", "silver.c")
    edges = [("topic.a", "bronze.b"), ("bronze.b", "silver.c"), ("topic.a", "silver.c")]
    drawing = Drawing(nodes, edges, highlight="bronze.b")
    assert [path.get("class") for path in drawing.edges] == ["edge far", "edge near", "edge near"]


def test_nothing_stands_out_without_a_highlight() -> None:
    drawing = Drawing(NODES, EDGES)
    assert set(drawing.tones().values()) == {"node"}
    assert {path.get("class") for path in drawing.edges} == {"edge"}


def test_a_highlight_that_is_no_node_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"silver\.nothing"):
        draw(NODES, EDGES, HEADINGS, "Lineage", "silver.nothing")


def test_markup_in_names_links_headings_and_label_is_text() -> None:
    hostile = "\"'><script>alert(1)</script>"
    page = draw(
        [Node(f"silver.{hostile}", 0, hostile)], [], [hostile], hostile, f"silver.{hostile}"
    )
    root = ET.fromstring(page)
    assert not list(root.iter("script")) + list(root.iter(f"{SVG}script"))
    link = next(root.iter(f"{SVG}a"))
    assert link.get("href") == hostile
    assert link.findtext(f"{SVG}title") == f"silver.{hostile}"
    assert root.get("aria-label") == hostile


def test_edges_that_name_no_node_join_one_to_itself_or_come_twice_add_nothing() -> None:
    more = [("silver.gone", "silver.events"), ("silver.events", "silver.events"), EDGES[0]]
    assert draw(NODES, EDGES + more, HEADINGS, "x") == draw(NODES, EDGES, HEADINGS, "x")


def test_an_empty_graph_is_an_empty_drawing() -> None:
    assert not Drawing([], []).boxes


# --- The part for one table ----------------------------------------------------------------------


def test_a_table_has_its_sources_and_targets_around_it() -> None:
    nodes, edges = neighbourhood(NODES, EDGES, "silver.ratings")
    assert [node.name for node in nodes] == [
        "silver.events",
        "silver.ratings",
        "staging.stg_ratings",
    ]
    assert edges == EDGES[6:8]


def test_from_bronze_it_goes_on_to_the_topic_and_to_no_other_table_of_it() -> None:
    nodes, edges = neighbourhood(NODES, EDGES, "silver.genres")
    assert [node.name for node in nodes] == [
        *("topic.movie", "bronze.movie", "silver.genres", "staging.stg_genres")
    ]
    assert edges == [EDGES[1], EDGES[4], EDGES[8]]


def test_more_steps_go_further_in_both_directions_but_never_turn() -> None:
    nodes, _ = neighbourhood(NODES, EDGES, "silver.events", steps=2)
    assert {node.name for node in NODES} - {node.name for node in nodes} == {
        "silver.genres",
        "staging.stg_genres",
    }


def test_a_table_without_edges_stands_alone() -> None:
    assert neighbourhood(_nodes("silver.a", "silver.b"), [], "silver.a") == (
        _nodes("silver.a"),
        [],
    )


# --- dbt's manifest ------------------------------------------------------------------------------


def _model(*fqn: str, of: list[str]) -> dict[str, Any]:
    return {"resource_type": "model", "fqn": ["cinelake", *fqn], "depends_on": {"nodes": of}}


MANIFEST = {
    "sources": {
        "source.cinelake.silver.ratings": {"schema": "silver", "name": "ratings"},
        "source.cinelake.ops.ledger": {"schema": "ops", "name": "ledger"},
    },
    "nodes": {
        "model.cinelake.stg_ratings": _model(
            "staging", "stg_ratings", of=["source.cinelake.silver.ratings"]
        ),
        "model.cinelake.int_days": _model(
            "intermediate", "int_days", of=["model.cinelake.stg_ratings"]
        ),
        "model.cinelake.ratings": _model(
            *("marts", "core", "ratings"),
            of=["model.cinelake.stg_ratings", "model.cinelake.int_days", "seed.cinelake.codes"],
        ),
        "test.cinelake.unique": {
            "resource_type": "test",
            "fqn": ["cinelake", "marts", "core", "unique"],
            "depends_on": {"nodes": ["model.cinelake.ratings"]},
        },
    },
    "exposures": {
        "exposure.cinelake.cookbook": {
            "name": "cookbook",
            "depends_on": {"nodes": ["model.cinelake.ratings"]},
        }
    },
}


def test_a_manifest_gives_tables_models_and_uses_by_their_names() -> None:
    models = from_manifest(MANIFEST)
    assert models.folders == {
        "exposure.cookbook": "exposure",
        "gold.ratings": "marts/core",
        "intermediate.int_days": "intermediate",
        "ops.ledger": "source",
        "silver.ratings": "source",
        "staging.stg_ratings": "staging",
    }


def test_a_manifest_gives_the_edges_between_them_and_no_others() -> None:
    assert from_manifest(MANIFEST).edges == [
        ("gold.ratings", "exposure.cookbook"),
        ("intermediate.int_days", "gold.ratings"),
        ("silver.ratings", "staging.stg_ratings"),
        ("staging.stg_ratings", "gold.ratings"),
        ("staging.stg_ratings", "intermediate.int_days"),
    ]
