"""What is generated from the contracts is checked in, complete and up to date."""

import re
from pathlib import Path

import yaml

from cinelake.settings import PROJECT_ROOT
from lakehouse.contract import table, tables
from lakehouse.generate import COMMAND, data_dictionary, dbt_sources, stale_files, write_generated
from lakehouse.lineage import feeds


def test_the_checked_in_files_follow_from_the_contracts() -> None:
    stale = [str(path.relative_to(PROJECT_ROOT)) for path in stale_files(PROJECT_ROOT)]
    assert not stale, f"run `{COMMAND}` to renew {', '.join(stale)}"


def test_a_changed_or_missing_file_is_stale(tmp_path: Path) -> None:
    write_generated(tmp_path)
    assert stale_files(tmp_path) == []
    sources = tmp_path / "dbt_project/models/staging/_sources.yml"
    sources.write_text(sources.read_text("utf-8").replace("bigint", "integer", 1), "utf-8")
    dictionary = tmp_path / "docs/data-dictionary.md"
    dictionary.unlink()
    assert stale_files(tmp_path) == [sources, dictionary]


def test_each_source_has_every_published_column_and_no_raw_bytes() -> None:
    source = yaml.safe_load(dbt_sources())["sources"][0]
    by_name = {entry["name"]: entry for entry in source["tables"]}
    assert set(by_name) == {contract.name for contract in tables("silver")}
    for contract in tables("silver"):
        columns = {column["name"] for column in by_name[contract.name]["columns"]}
        published = {column.name for column in contract.published_columns}
        assert columns == published | {"_lake_version", "_deleted"}
    assert "payload" not in {column["name"] for column in by_name["quarantine"]["columns"]}


def test_freshness_of_a_source_is_that_of_its_contract() -> None:
    source = yaml.safe_load(dbt_sources())["sources"][0]
    events = next(entry for entry in source["tables"] if entry["name"] == "events")
    assert events["config"]["loaded_at_field"] == table("silver.events").freshness_column
    hours = events["config"]["freshness"]["error_after"]
    assert hours == {"count": table("silver.events").freshness_hours, "period": "hour"}


def test_the_dictionary_names_every_column_of_every_table() -> None:
    text = data_dictionary()
    for contract in [*tables("bronze"), *tables("silver")]:
        section = text.split(f"\n## {contract.full_name}\n")[1].split("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("| `")]
        assert [row.split("`")[1] for row in rows] == contract.column_names


def test_gold_accepts_the_event_types_of_the_contract() -> None:
    path = PROJECT_ROOT / "dbt_project/models/marts/core/fact_user_event.yml"
    model = yaml.safe_load(path.read_text("utf-8"))["models"][0]
    column = next(entry for entry in model["columns"] if entry["name"] == "event_type")
    tests = [test for test in column["data_tests"] if "accepted_values" in test]
    contract = next(c for c in table("silver.events").columns if c.name == "event_type")
    assert tests[0]["accepted_values"]["arguments"]["values"] == list(contract.valid_values)


def test_the_freshness_mart_keeps_the_promises_of_the_contracts() -> None:
    path = PROJECT_ROOT / "dbt_project/models/marts/ops/freshness.sql"
    promised = re.findall(r"'(\w+)': \('(\w+)', (\d+)\)", path.read_text("utf-8"))
    assert promised == [
        (contract.name, contract.freshness_column, str(contract.freshness_hours))
        for contract in tables("silver")
        if contract.freshness_column
    ]


def test_the_freshness_mart_measures_what_is_made_of_events_and_movies_by_them() -> None:
    text = (PROJECT_ROOT / "dbt_project/models/marts/ops/freshness.sql").read_text("utf-8")
    measured = {
        f"silver.{name}": source
        for source, names in re.findall(r"'(\w+)': \[([^]]+)\]", text)
        for name in re.findall(r"'(\w+)'", names)
    }
    made_of: dict[tuple[str, ...], str] = {
        ("silver.events",): "events",
        ("bronze.movie",): "movies",
    }
    expected = {
        name: made_of[sources] for name, sources in feeds().items() if sources in made_of
    } | {"silver.events": "events"}
    assert measured == expected
