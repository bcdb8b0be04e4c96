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
    "silver": "Silver",
    "ops": "Silver",
    "staging": "Staging",
    "intermediate": "Intermediate",
    "marts/core": "Gold: core",
    "marts/product": "Gold: product",
    "marts/ops": "Gold: product",
    "exposure": "Used by",
}
"""The heading of the column in which a table stands, by its layer or its folder in the dbt project."""
COLUMNS = list(dict.fromkeys(HEADINGS.values()))


@dataclass(frozen=True)
class Lineage:
    """What is made of what, and its pictures.

    Args:
        nodes: Topics, tables, models and exposures.
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
        places.setdefault(name, name.partition(".")[0] if folder == "source" else folder)
    nodes = [
        Node(name, COLUMNS.index(HEADINGS[place]), _href(name, manifest))
        for name, place in sorted(places.items())
    ]
    return Lineage(nodes, [*lake, *models.edges])


def _href(name: str, manifest: Mapping[str, Any]) -> str:
    """The page of a table; that of dbt docs for what the catalogue does not describe."""
    layer, _, own = name.partition(".")
    if layer in ("bronze", "silver", "gold"):
        return table_path(name)
    if layer == "topic":
        return "guides/architecture.html#the-way-of-an-event"
    kind = {"exposure": "exposure", "ops": "source"}.get(layer, "model")
    middle = "ops." if layer == "ops" else ""
    return f"dbt-docs.html#!/{kind}/{kind}.{manifest['metadata']['project_name']}.{middle}{own}"
