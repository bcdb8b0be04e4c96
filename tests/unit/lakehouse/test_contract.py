"""A contract is read whole or refused with its file and field; schemas and DDL follow from it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import types as spark

from cinelake.errors import BadInputError
from lakehouse.contract import CONTRACTS, quote_literal, read_contract, table, tables

EVERY_TABLE = [contract.full_name for layer in ("bronze", "silver") for contract in tables(layer)]


def changed(tmp_path: Path, *path: str | int, value: Any) -> Path:
    """The contract of ratings with one field replaced; `value` None takes it out."""
    document = yaml.safe_load((CONTRACTS / "silver/ratings.yaml").read_text("utf-8"))
    *parents, last = path
    place = document
    for step in parents:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    file = tmp_path / "ratings.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    return file


FIRST_COLUMN = ("schema", 0, "properties", 0)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("apiVersion",), "v2.2.0", "apiVersion"),
        (("kind",), "Recipe", "kind"),
        (("id",), None, "id"),
        (("id",), "gold.ratings", "layer"),
        (("version",), None, "version"),
        (("schema",), [], "schema"),
        (("team",), {}, "name"),
        (("description",), {}, "purpose"),
        (("schema", 0, "dataGranularityDescription"), None, "dataGranularityDescription"),
        ((*FIRST_COLUMN, "name"), None, "properties.0.name"),
        ((*FIRST_COLUMN, "physicalType"), "varchar", "properties.0.physicalType"),
        ((*FIRST_COLUMN, "description"), "", "properties.0.description"),
        ((*FIRST_COLUMN, "required"), "perhaps", "properties.0.required"),
    ],
)
def test_a_contract_that_is_wrong_is_refused_with_file_and_field(
    tmp_path: Path, path: tuple[str | int, ...], value: Any, field: str
) -> None:
    file = changed(tmp_path, *path, value=value)
    with pytest.raises(BadInputError) as caught:
        read_contract(file)
    assert str(file) in caught.value.message
    assert field in caught.value.message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text", "a: [", "\t- x: :"])
def test_a_file_that_is_no_contract_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(BadInputError, match=r"broken\.yaml"):
        read_contract(file)


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"missing\.yaml"):
        read_contract(tmp_path / "missing.yaml")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_and_nothing_else(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(content)
    with pytest.raises(BadInputError):
        read_contract(file)


@pytest.mark.parametrize("name", EVERY_TABLE)
def test_the_spark_schema_has_every_column_with_type_nullability_and_comment(name: str) -> None:
    contract = table(name)
    schema = contract.spark_schema()
    assert schema.names == contract.column_names
    for field, column in zip(schema, contract.columns, strict=True):
        assert field.nullable is not column.required
        assert field.metadata == {"comment": column.description}
        assert not isinstance(field.dataType, spark.NullType)


@pytest.mark.parametrize("name", EVERY_TABLE)
def test_every_table_has_a_key_of_required_columns(name: str) -> None:
    contract = table(name)
    required = {column.name for column in contract.columns if column.required}
    assert contract.key
    assert set(contract.key) <= required


def test_a_key_of_several_columns_is_in_the_order_of_the_contract() -> None:
    assert table("silver.duplicates").key == ["kafka_topic", "kafka_partition", "kafka_offset"]
    assert table("silver.ratings").key == ["user_id", "movie_id"]


def test_the_ddl_of_ratings_is_what_postgres_gets() -> None:
    limits = table("silver.ratings").postgres_limits
    create, index, *comments = table("silver.ratings").postgres_ddl()
    assert create.splitlines() == [
        "create table if not exists silver.ratings (",
        "    user_id text not null,",
        "    movie_id bigint not null,",
        "    rating double precision,",
        "    event_id uuid not null,",
        "    rated_at timestamptz not null,",
        "    is_removed boolean not null,",
        "    _lake_version bigint not null,",
        "    _deleted boolean not null default false,",
        "    primary key (user_id, movie_id),",
        *(f"    constraint {name} {rule}," for name, rule in list(limits.items())[:-1]),
        "    constraint {} {}".format(*list(limits.items())[-1]),
        ")",
    ]
    assert list(limits.values()) == [
        "check (_deleted or (char_length(user_id) <= 128))",
        "check (_deleted or (movie_id >= 1 and movie_id <= 9007199254740991))",
        "check (_deleted or (rating >= 0.5 and rating <= 10))",
        "check (_deleted or (rated_at >= timestamptz '1970-01-01T00:00:00Z'"
        " and rated_at <= timestamptz '2199-12-31T23:59:59Z'))",
    ]
    assert index.endswith("on silver.ratings (_lake_version)")
    assert comments[0] == (
        "comment on table silver.ratings is 'What each user last thought of each movie.'"
    )
    assert len(comments) == 1 + len(table("silver.ratings").columns)


def test_a_limit_that_changes_is_another_constraint() -> None:
    ratings = table("silver.ratings")
    wider = ratings.model_copy(
        update={
            "columns": tuple(
                each.model_copy(update={"max_length": 129}) if each.name == "user_id" else each
                for each in ratings.columns
            )
        }
    )
    changed = wider.postgres_limits.keys() ^ ratings.postgres_limits.keys()
    assert len(changed) == 2
    assert all(name.startswith("limits_of_user_id_") for name in changed)


@pytest.mark.parametrize("name", [table.full_name for table in tables("silver")])
def test_every_column_of_silver_is_bounded(name: str) -> None:
    assert [column.name for column in table(name).columns if not column.is_bounded] == []


def test_every_date_and_time_that_a_contract_takes_is_one_that_all_readers_hold() -> None:
    # pandas counts nanoseconds from 1677-09-21 to 2262-04-11, Python years from 1.
    for contract in tables("silver"):
        for column in contract.columns:
            if column.type in ("date", "timestamp"):
                years = [limit.year for limit in (column.minimum, column.maximum)]  # type: ignore[union-attr]
                assert min(years) > 1677
                assert max(years) < 2262


def test_raw_bytes_stay_in_the_lake() -> None:
    contract = table("silver.quarantine")
    assert "payload" in contract.column_names
    assert "payload" not in [column.name for column in contract.published_columns]
    assert "payload" not in "".join(contract.postgres_ddl())


def test_a_quote_in_a_description_stays_inside_the_literal() -> None:
    assert quote_literal("TMDB's") == "'TMDB''s'"
    assert "TMDB''s genres." in "".join(table("silver.genres").postgres_ddl())


def test_rules_and_references_are_read_off_the_contract() -> None:
    columns = {column.name: column for column in table("silver.events").columns}
    assert columns["event_id"].is_uuid
    assert (columns["rating"].minimum, columns["rating"].maximum) == (0.5, 10)
    assert columns["visitor_id"].pattern == "^[ua]:([.]|[^.])"
    assert columns["session_id"].references == ("sessions", "session_id")
    assert columns["event_type"].valid_values[:2] == ("page_view", "movie_view")
    assert columns["user_id"].classification == "pseudonymous"


def test_every_reference_points_to_a_column_of_the_same_layer() -> None:
    for contract in tables("silver"):
        for column in contract.columns:
            if column.references:
                other, name = column.references
                assert name in table(f"silver.{other}").column_names, (contract.name, column.name)
