"""The lineage of all tables: the lake's from its own code, gold's from dbt's manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from docs_site.catalogue import table_path
from docs_site.lineage import Edge, Node, draw, from_manifest, neighbourhood
from lakehouse.lineage import feeds

HEADINGS = {
    "topic": "Kafka",
    "bronze": "Bronze",
    "silver": "Silver and ops",
    "ops": "Silver and ops",
    "staging": "Staging",
    "intermediate": "Intermediate",
    "marts/core": "Gold: core",
    "marts/product": "Gold: product and ops",
    "marts/ops": "Gold: product and ops",
}
"""The heading of the column in which a table stands, by its layer or its folder in the dbt project."""
COLUMNS = list(dict.fromkeys(HEADINGS.values()))


@dataclass(frozen=True)
class Lineage:
    """What is made of what, and its pictures.

    Args:
        nodes: Topics, tables and models.
        edges: Pairs of full names, the source first.
    """

    nodes: Sequence[Node]
    edges: Sequence[Edge]

    def picture(self) -> Markup:
        """All of it."""
        return draw(self.nodes, self.edges, COLUMNS, "Lineage of all tables")

    def sources(self, name: str) -> tuple[str, ...]:
        """What a table is made of."""
        return tuple(source for source, target in self.edges if target == name)

    def targets(self, name: str) -> tuple[str, ...]:
        """What is made of a table."""
        return tuple(target for source, target in self.edges if source == name)

    def neighbours(self, name: str) -> Markup:
        """The picture of a table with what it is made of and what is made of it; its links fit the table's page."""
        nodes, edges = neighbourhood(self.nodes, self.edges, name)
        if not edges:
            return Markup()
        used = sorted({node.column for node in nodes})
        below = [Node(node.name, used.index(node.column), f"../{node.href}") for node in nodes]
        headings = [COLUMNS[column] for column in used]
        return draw(below, edges, headings, f"Lineage of {name}", highlight=name)


def collect_lineage(manifest: Mapping[str, Any]) -> Lineage:
    """Join the lineage of the lake with that of gold.

    Args:
        manifest: dbt's.
    """
    lake = [(source, table) for table, sources in feeds().items() for source in sources]
    models = from_manifest(manifest)
    places = {name: name.partition(".")[0] for edge in lake for name in edge}
    for name, folder in models.folders.items():
        # Some exposure depends on nearly every mart: its lines would hide all others.
        if folder != "exposure":
            places.setdefault(name, name.partition(".")[0] if folder == "source" else folder)
    nodes = [
        Node(name, COLUMNS.index(HEADINGS[place]), _href(name, manifest))
        for name, place in sorted(places.items())
    ]
    edges = [edge for edge in (*lake, *models.edges) if set(edge) <= places.keys()]
    return Lineage(nodes, edges)


def _href(name: str, manifest: Mapping[str, Any]) -> str:
    """The page of a table; that of dbt docs for what the catalogue does not describe."""
    layer, _, own = name.partition(".")
    if layer in ("bronze", "silver", "gold"):
        return table_path(name)
    if layer == "topic":
        return "guides/architecture.html#the-way-of-an-event"
    kind, name = ("source", f"ops.{own}") if layer == "ops" else ("model", own)
    return f"dbt-docs.html#!/{kind}/{kind}.{manifest['metadata']['project_name']}.{name}"
