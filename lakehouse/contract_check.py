"""Drift: where generated files, Delta tables, PostgreSQL's tables or the contracts themselves disagree with the contracts."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cinelake.errors import BadInputError, ServiceError, SettingError
from cinelake.postgres import connect
from cinelake.settings import PROJECT_ROOT, Settings
from lakehouse import shape
from lakehouse.classification import CLASSES
from lakehouse.contract import (
    CONTRACTS,
    NUMBERS,
    Column,
    Table,
    limit_in_words,
    read_contract,
)
from lakehouse.generate import COMMAND, stale_files
from lakehouse.tables import table_path

Place = Literal["contract", "generated file", "lake", "PostgreSQL"]
ORDERED = (*NUMBERS, "date", "timestamp")
"""Types whose values can have a least and a largest one."""


@dataclass(frozen=True)
class Finding:
    """One disagreement.

    Args:
        place: What disagrees.
        name: The table's full name, or the file below the project's root.
        column: The column, or empty.
        problem: What is wrong, in words.
    """

    place: Place
    name: str
    column: str
    problem: str


@dataclass
class Checked:
    """What a check found.

    Args:
        findings: Every disagreement.
        not_checked: Why a place could not be looked at, by its name.
        tables: How many tables of each place were compared.
    """

    findings: list[Finding] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)


def check(settings: Settings, folder: Path = CONTRACTS, root: Path = PROJECT_ROOT) -> Checked:
    """Compare the contracts with all that follows from them.

    Args:
        settings: Tells where the lake and PostgreSQL are.
        folder: Where the contracts are.
        root: The folder that holds the generated files.

    Returns:
        The findings; a place that is not there, or whose service is down, is named as not checked.
    """
    checked = Checked()
    contracts = _read_documents(folder, checked)
    checked.tables["contracts"] = len(contracts)
    if any(finding.name not in contracts for finding in checked.findings):
        checked.not_checked["all that follows"] = "a contract cannot be read"
        return checked
    checked.findings += _document_findings(contracts)
    checked.findings += [
        Finding("generated file", str(path.relative_to(root)), "", f"is stale; run `{COMMAND}`")
        for path in stale_files(root)
    ]
    _check_lake(settings, contracts, checked)
    _check_postgres(settings, contracts, checked)
    return checked


def _read_documents(folder: Path, checked: Checked) -> dict[str, Table]:
    contracts = {}
    for path in sorted(folder.glob("*/*.yaml")):
        name = f"{path.parent.name}.{path.stem}"
        try:
            contract = read_contract(path)
        except BadInputError as error:
            checked.findings.append(Finding("contract", name, "", error.message))
            continue
        if contract.full_name != name:
            problem = f"calls itself {contract.full_name}; the file's name must agree with the id"
            checked.findings.append(Finding("contract", name, "", problem))
        contracts[name] = contract
    return contracts


def _document_findings(contracts: Mapping[str, Table]) -> Iterator[Finding]:
    for name, table in contracts.items():
        for column, problem in document_problems(table, contracts):
            yield Finding("contract", name, column, problem)


def document_problems(table: Table, contracts: Mapping[str, Table]) -> Iterator[tuple[str, str]]:
    """What a contract says that cannot be.

    Args:
        table: The contract.
        contracts: All contracts, by full name; it may refer to them.

    Yields:
        The column (empty for the table) and what is wrong with it.
    """
    if not table.key:
        yield "", "has no key"
    for name, count in Counter(table.column_names).items():
        if count > 1:
            yield name, f"is there {count} times"
    for name in table.cluster_by:
        if name not in table.column_names:
            yield name, "is clustered by, but is no column"
    columns = {column.name: column for column in table.columns}
    if table.freshness_column:
        fresh = columns.get(table.freshness_column)
        if fresh is None or fresh.type != "timestamp":
            yield table.freshness_column, "tells the freshness, but is no timestamp column"
    for column in table.columns:
        for problem in _column_problems(table, column, contracts):
            yield column.name, problem


def _column_problems(table: Table, column: Column, contracts: Mapping[str, Table]) -> Iterator[str]:
    if not column.description.strip():
        yield "has no description"
    if table.layer == "silver" and not column.is_bounded:
        wanted = "a maxLength" if column.type == "string" else "a minimum and a maximum"
        yield f"has no limits; a {column.type} needs {wanted}"
    if column.key_position and not column.required:
        yield "is part of the key, but not required"
    if column.classification not in CLASSES:
        given = (
            f"the classification {column.classification}"
            if column.classification
            else "no classification"
        )
        yield f"has {given}; known are {', '.join(CLASSES)}"
    yield from _rule_problems(column)
    if column.references:
        yield from _reference_problems(table, column, *column.references, contracts)


def _rule_problems(column: Column) -> Iterator[str]:
    has_limit = column.minimum is not None or column.maximum is not None
    if has_limit and column.type not in ORDERED:
        yield f"has a limit, but is a {column.type}"
    lowest, highest = column.minimum, column.maximum
    # Both are of the column's type.
    if lowest is not None and highest is not None and lowest > highest:  # type: ignore[operator]
        words = limit_in_words(lowest), limit_in_words(highest)
        yield "has the minimum {} above the maximum {}".format(*words)
    of_texts = (column.pattern, column.valid_values, column.is_uuid, column.max_length)
    if any(of_texts) and column.type != "string":
        yield f"has a rule for texts, but is a {column.type}"
    try:
        re.compile(column.pattern or "")
    except re.error as error:
        yield f"has a pattern that is none: {error}"


def _reference_problems(
    table: Table, column: Column, other: str, name: str, contracts: Mapping[str, Table]
) -> Iterator[str]:
    target = contracts.get(f"{table.layer}.{other}")
    if target is None:
        yield f"refers to {table.layer}.{other}, which is no table"
        return
    found = next((each for each in target.columns if each.name == name), None)
    if found is None:
        yield f"refers to {target.full_name}.{name}, which is no column"
    elif found.type != column.type:
        yield f"is {column.type}, but refers to {target.full_name}.{name}, which is {found.type}"


def _check_lake(settings: Settings, contracts: Mapping[str, Table], checked: Checked) -> None:
    compared = 0
    for name, table in contracts.items():
        try:
            found = shape.found_in_lake(table_path(settings, name))
        except OSError as error:
            checked.not_checked["lake"] = str(error)
            return
        if found is not None:
            compared += 1
            checked.findings += _findings("lake", name, shape.compare_delta(table, found))
    if compared:
        checked.tables["lake"] = compared
    else:
        checked.not_checked["lake"] = f"{settings.lake_uri} holds no table yet"


def _check_postgres(settings: Settings, contracts: Mapping[str, Table], checked: Checked) -> None:
    try:
        with connect(settings, "loader") as connection:
            shapes = shape.found_in_postgres(connection)
    except (ServiceError, SettingError) as error:
        checked.not_checked["PostgreSQL"] = error.message
        return
    if not shapes:
        checked.not_checked["PostgreSQL"] = "its schema silver holds no table yet"
        return
    checked.tables["PostgreSQL"] = len(shapes)
    for name, found in shapes.items():
        full_name = f"silver.{name}"
        if full_name in contracts:
            differences = shape.compare_postgres(contracts[full_name], found)
            checked.findings += _findings("PostgreSQL", full_name, differences)
        else:
            problem = "is there, but no contract describes it"
            checked.findings.append(Finding("PostgreSQL", full_name, "", problem))


def _findings(
    place: Place, name: str, differences: Iterable[shape.Difference]
) -> Iterator[Finding]:
    for difference in differences:
        yield Finding(place, name, difference.column, difference.problem)
