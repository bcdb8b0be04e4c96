"""Files that follow from the contracts and are checked in: dbt sources, tests and column texts, the data dictionary.

After a contract has changed, `python -m lakehouse.generate` writes them anew; a test fails while they are stale.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from cinelake.settings import PROJECT_ROOT
from lakehouse.classification import PUBLIC, classified
from lakehouse.contract import Column, Table, limit_in_words, tables

COMMAND = "python -m lakehouse.generate"
HEADER = f"Generated from lakehouse/contracts by `{COMMAND}`. Do not edit."

LAKE_COLUMNS = {
    "_lake_version": "Version of the Delta table in which the row last changed.",
    "_deleted": "Silver no longer holds the row; it stays here so that increments can follow.",
}
"""The columns every published table has besides those of its contract, in bigint and boolean."""


class _IndentedDumper(yaml.SafeDumper):
    """YAML with lists indented below their key, as dbt projects are written."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def dbt_sources() -> str:
    """The dbt source `silver`: every published table with its owner, freshness and columns."""
    source = {
        "name": "silver",
        "schema": "silver",
        "description": "The clean layer of the lake, published to PostgreSQL by `cinelake publish`.",
        "tables": [_source_table(table) for table in tables("silver")],
    }
    body = yaml.dump(
        {"version": 2, "sources": [source]},
        Dumper=_IndentedDumper,
        sort_keys=False,
        width=100,
        allow_unicode=True,
    )
    return f"# {HEADER}\n{body}"


def _source_table(table: Table) -> dict[str, Any]:
    config: dict[str, Any] = {"meta": {"owner": table.owner, "contract_version": table.version}}
    if table.freshness_column and table.freshness_hours:
        config["loaded_at_field"] = table.freshness_column
        config["freshness"] = {"error_after": {"count": table.freshness_hours, "period": "hour"}}
    return {
        "name": table.name,
        "description": f"{table.purpose} Grain: {_lower_first(table.grain)}",
        "config": config,
        "columns": [*map(_source_column, table.published_columns), *_lake_columns()],
    }


def _source_column(column: Column) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": column.name,
        "description": column.description,
        "data_type": column.postgres_type,
    }
    if column.classification != classified(None, column.type):
        entry["config"] = {"meta": {"classification": column.classification}}
    return entry


def _lake_columns() -> Iterable[dict[str, Any]]:
    for name, data_type in zip(LAKE_COLUMNS, ("bigint", "boolean"), strict=True):
        yield {"name": name, "description": LAKE_COLUMNS[name], "data_type": data_type}


def dbt_test_of_silver() -> str:
    """A dbt test that finds each constraint which a published table should have and has not."""
    declared: list[str] = []
    for table in tables("silver"):
        relation = f"source('silver', '{table.name}')"
        required = [column.name for column in table.published_columns if column.required]
        for name in dict.fromkeys([*table.key, *required, *LAKE_COLUMNS]):
            declared.append(f"    [{relation}, 'not_null', ['{name}']],")
        declared.append(f"    [{relation}, 'unique', {table.key!r}],")
    return "\n".join([f"-- {HEADER}", "{{ missing_constraints([", *declared, "]) }}"]) + "\n"


def dbt_column_docs() -> str:
    """A dbt docs block `<table>__<column>` for each published column, so that models describe none twice."""
    lines = [f"<!-- {HEADER} -->"]
    for table in tables("silver"):
        for column in table.published_columns:
            lines += [
                "",
                f"{{% docs {table.name}__{column.name} %}}",
                column.description,
                "{% enddocs %}",
            ]
    return "\n".join(lines) + "\n"


def data_dictionary() -> str:
    """The data dictionary in Markdown: one section a table of bronze and silver."""
    described = [*tables("bronze"), *tables("silver")]
    lines = [
        f"<!-- {HEADER} -->",
        "",
        "# Data dictionary",
        "",
        "Every table of the lake as its contract in `lakehouse/contracts/` describes it. All times are UTC.",
        "A column without a [class](security.md#what-a-column-tells-of-people) is public.",
        "The gold tables are described in the dbt docs (`cinelake docs build`).",
        "",
        *(f"- [{table.full_name}](#{_anchor(table)}): {table.purpose}" for table in described),
    ]
    for table in described:
        lines += ["", *_dictionary_section(table)]
    return "\n".join(lines) + "\n"


def _dictionary_section(table: Table) -> list[str]:
    freshness = (
        [f"- Freshness: `{table.freshness_column}` at most {table.freshness_hours} h old"]
        if table.freshness_column
        else []
    )
    return [
        f"## {table.full_name}",
        "",
        table.purpose,
        "",
        f"- Grain: {table.grain}",
        f"- Owner: {table.owner}",
        f"- Contract version: {table.version}",
        *freshness,
        "",
        "| column | type | required | key | class | rules | meaning |",
        "|---|---|---|---|---|---|---|",
        *(_dictionary_row(column, table.layer) for column in table.columns),
    ]


def _dictionary_row(column: Column, layer: str) -> str:
    cells = [
        f"`{column.name}`",
        "uuid" if column.is_uuid else column.type,
        "yes" if column.required else "",
        str(column.key_position or ""),
        "" if column.classification == PUBLIC else column.classification,
        "; ".join(rules_in_words(column, layer)),
        column.description,
    ]
    # A pipe inside a pattern would end the table cell.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def rules_in_words(column: Column, layer: str) -> Iterable[str]:
    """What holds of a column beside its type, in words; code in backticks."""
    if column.unique:
        yield "unique"
    if column.minimum is not None:
        yield f"at least {limit_in_words(column.minimum)}"
    if column.maximum is not None:
        yield f"at most {limit_in_words(column.maximum)}"
    if column.max_length is not None:
        yield f"at most {column.max_length} characters"
    if column.pattern:
        yield f"matches `{column.pattern}`"
    if column.valid_values:
        yield "one of " + ", ".join(f"`{value}`" for value in column.valid_values)
    if column.references:
        yield f"in `{layer}.{column.references[0]}.{column.references[1]}`"


def _anchor(table: Table) -> str:
    return table.full_name.replace(".", "")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def generated_files() -> dict[Path, str]:
    """Every generated file: its path below the project's root, and its content."""
    staging = Path("dbt_project/models/staging")
    tests = Path("dbt_project/tests")
    return {
        staging / "_sources.yml": dbt_sources(),
        staging / "_columns.md": dbt_column_docs(),
        tests / "silver_has_the_constraints_of_its_contracts.sql": dbt_test_of_silver(),
        Path("docs/data-dictionary.md"): data_dictionary(),
    }


def write_generated(root: Path) -> None:
    """Write every generated file below `root`."""
    for path, content in generated_files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, "utf-8")


def stale_files(root: Path) -> list[Path]:
    """The generated files below `root` that are missing or differ from what the contracts say."""
    return [
        root / path
        for path, content in generated_files().items()
        if not (root / path).is_file() or (root / path).read_text("utf-8") != content
    ]


if __name__ == "__main__":
    write_generated(PROJECT_ROOT)
