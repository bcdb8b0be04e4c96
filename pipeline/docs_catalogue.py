"""The facts of the site's catalogue: contracts and dbt's manifest, what the gates last found, and a few rows of each table."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from cinelake.settings import Settings
from docs_site.catalogue import ColumnPage, RulePage, Sample, State, TablePage
from docs_site.pages import age
from expectations.results import KeptResult, RuleResult, data_docs_folder, load_last_checks
from lakehouse import changes
from lakehouse.classification import PUBLIC
from lakehouse.contract import Column, Table, tables
from lakehouse.freshness import newest_row
from lakehouse.generate import rules_in_words
from pipeline.docs_lineage import Lineage
from pipeline.gold_classes import class_of

SAMPLE_ROWS = 5
BYTES_SHOWN = 200
"""Of a raw message, before the page shortens it."""

Manifest = Mapping[str, Any]
Checks = Mapping[str, dict[str, Any]]
"""By the full name of a table the fields of its page that tell of its rules; none of one that was never checked."""


def collect_catalogue(
    settings: Settings, analyst: psycopg.Connection, manifest: Manifest, lineage: Lineage
) -> list[TablePage]:
    """What there is to know of every table of bronze, silver and gold.

    Args:
        settings: Tells where the lake and PostgreSQL are.
        analyst: A connection of an analyst, who sees gold.
        manifest: dbt's, of the target that builds gold.
        lineage: What is made of what.

    Raises:
        ServiceError: PostgreSQL cannot be reached.
    """
    data_docs = data_docs_folder(settings)
    checks = {name: _checked(kept, data_docs) for name, kept in load_last_checks(settings).items()}
    lake = [
        _lake_table(settings, contract, checks, lineage)
        for contract in (*tables("bronze"), *tables("silver"))
    ]
    marts = [_mart(analyst, model, manifest, checks, lineage) for model in _marts(manifest)]
    return [*lake, *marts]


def _lake_table(settings: Settings, contract: Table, checks: Checks, lineage: Lineage) -> TablePage:
    name = contract.full_name
    is_there = changes.open_table(settings, name) is not None
    return TablePage(
        name=name,
        purpose=contract.purpose,
        grain=contract.grain,
        owner=contract.owner,
        version=contract.version,
        rows=changes.count_rows(settings, name) if is_there else None,
        freshness=_freshness(settings, contract),
        columns=tuple(_column(column, contract.layer) for column in contract.columns),
        sample=_lake_sample(settings, contract),
        **checks.get(name, {}),
        **_neighbours(lineage, name),
    )


def _column(column: Column, layer: str) -> ColumnPage:
    notes = [
        *(["key"] if column.key_position else []),
        *(["not null"] if column.required else []),
        *(rule.replace("`", "") for rule in rules_in_words(column, layer)),
    ]
    kind = "uuid" if column.is_uuid else column.type
    return ColumnPage(column.name, kind, column.description, tuple(notes), column.classification)


def _freshness(settings: Settings, contract: Table) -> str:
    if contract.freshness_column is None:
        return ""
    promise = f"at most {contract.freshness_hours} hours old by {contract.freshness_column}"
    newest = newest_row(settings, contract.full_name)
    if newest is None:
        return promise
    return f"{promise}; now {age((datetime.now(UTC) - newest).total_seconds())}"


def _lake_sample(settings: Settings, contract: Table) -> Sample:
    shown = [each.name for each in contract.columns if each.classification == PUBLIC]
    quoted = ", ".join(f'"{name}"' for name in shown)
    found = changes.query(
        settings, contract.full_name, f"select {quoted} from t limit {SAMPLE_ROWS}"
    )
    rows = tuple(
        tuple(_readable(value) for value in row.values()) for row in changes.python_rows(found)
    )
    return Sample(tuple(shown), rows)


def _readable(value: Any) -> Any:
    return value[:BYTES_SHOWN].decode("utf-8", "replace") if isinstance(value, bytes) else value


def _checked(kept: KeptResult, data_docs: Path) -> dict[str, Any]:
    """The fields of a table's page that tell of its rules."""
    return {
        "rules": tuple(_rule(rule, data_docs) for rule in kept.result.rules),
        "checked_at": kept.recorded_at,
    }


def _neighbours(lineage: Lineage, name: str) -> dict[str, Any]:
    """The fields of a table's page that tell of its neighbours."""
    return {
        "sources": lineage.sources(name),
        "targets": lineage.targets(name),
        "neighbourhood": lineage.neighbours(name),
    }


def _rule(rule: RuleResult, data_docs: Path) -> RulePage:
    broken: State = "unusual" if rule.severity == "warn" else "failed"
    return RulePage(
        rule.label,
        rule.expected,
        "passed" if rule.success else broken,
        rule.observed,
        rule.rows_checked,
        # Data Docs forget older runs than the gate's results do.
        quote(rule.data_docs) if (data_docs / rule.data_docs).is_file() else "",
    )


def _marts(manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    """The models that analysts see, in the order of their names."""
    models = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] == "marts"
    ]
    yield from sorted(models, key=lambda model: str(model["name"]))


def _mart(
    analyst: psycopg.Connection,
    model: Mapping[str, Any],
    manifest: Manifest,
    checks: Checks,
    lineage: Lineage,
) -> TablePage:
    name = f"gold.{model['name']}"
    purpose, _, grain = model["description"].partition("Grain:")
    columns = tuple(_model_column(column, model) for column in model["columns"].values())
    rows, sample = _read_mart(analyst, model["name"], columns)
    return TablePage(
        name=name,
        purpose=purpose.strip(),
        grain=grain.strip().rstrip("."),
        owner=manifest["groups"][f"group.cinelake.{model['group']}"]["owner"]["name"],
        version="",
        rows=rows,
        freshness="",
        columns=columns,
        tests=tuple(_tests(model, manifest)),
        sample=sample,
        **checks.get(name, {}),
        **_neighbours(lineage, name),
    )


def _model_column(column: Mapping[str, Any], model: Mapping[str, Any]) -> ColumnPage:
    constraints = {constraint["type"] for constraint in column["constraints"]}
    keys = {
        name
        for constraint in model["constraints"]
        if constraint["type"] == "primary_key"
        for name in constraint["columns"]
    }
    is_key = column["name"] in keys or "primary_key" in constraints
    notes = [
        *(["key"] if is_key else []),
        *(["not null"] if "not_null" in constraints or is_key else []),
    ]
    return ColumnPage(
        column["name"],
        column["data_type"] or "",
        column["description"],
        tuple(notes),
        class_of(column),
    )


def _tests(model: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    """The data tests of a model, in words."""
    for node in manifest["nodes"].values():
        if node["resource_type"] != "test":
            continue
        if node.get("attached_node") == model["unique_id"]:
            kind = node["test_metadata"]["name"]
            yield f"{kind}({node['column_name']})" if node["column_name"] else str(node["name"])
        elif "test_metadata" not in node and model["unique_id"] in node["depends_on"]["nodes"]:
            yield str(node["name"])


def _read_mart(
    analyst: psycopg.Connection, name: str, columns: Sequence[ColumnPage]
) -> tuple[int | None, Sample]:
    """How many rows a table of gold has, and a few of them; None and none when analysts may not read it, or it is not there yet."""
    public = {column.name for column in columns if column.classification == PUBLIC}
    try:
        with analyst.transaction():
            counted = analyst.execute(f"select count(*) from {name}".encode()).fetchone()
            found = analyst.execute(f"select * from {name} limit {SAMPLE_ROWS}".encode())
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return None, Sample((), ())
    assert counted is not None, "a count is one row"
    # By name: gold may be older than the project, and lack a column that its model has.
    names = [column.name for column in found.description or ()]
    shown = [place for place, column in enumerate(names) if column in public]
    rows = tuple(tuple(row[place] for place in shown) for row in found)
    return counted[0], Sample(tuple(names[place] for place in shown), rows)
