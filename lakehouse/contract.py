"""Table contracts in the Open Data Contract Standard (ODCS) v3: the one source of every schema.

A contract is read from `lakehouse/contracts/<layer>/<table>.yaml` into a `Table`; from it come the Spark
schema, the PostgreSQL DDL, the Great Expectations suite, the dbt sources and the data dictionary.
Source of the format: https://bitol-io.github.io/open-data-contract-standard/
"""

import re
from datetime import UTC, date, datetime
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pyspark.sql import types as spark

from cinelake.errors import BadInputError
from lakehouse.classification import classified

CONTRACTS = Path(__file__).parent / "contracts"
UUID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
"""Lower case only: the same id in two spellings would count as two events."""

LIMITS = "limits_of_"
"""What the name of a check constraint in PostgreSQL begins with that holds the limits of a column."""

PhysicalType = Literal[
    "string", "bigint", "int", "double", "date", "timestamp", "boolean", "binary"
]
Layer = Literal["bronze", "silver"]

SPARK_TYPES: dict[PhysicalType, spark.DataType] = {
    "string": spark.StringType(),
    "bigint": spark.LongType(),
    "int": spark.IntegerType(),
    "double": spark.DoubleType(),
    "date": spark.DateType(),
    "timestamp": spark.TimestampType(),
    "boolean": spark.BooleanType(),
    "binary": spark.BinaryType(),
}
POSTGRES_TYPES: dict[PhysicalType, str] = {
    "string": "text",
    "bigint": "bigint",
    "int": "integer",
    "double": "double precision",
    "date": "date",
    "timestamp": "timestamptz",
    "boolean": "boolean",
}
"""Binary columns have no PostgreSQL type on purpose: raw bytes stay in the lake."""

Limit = float | datetime | date
"""The least or the largest value of a column: a number, a time with its zone, or a date, as the column's type is."""
NUMBERS = ("bigint", "int", "double")
FIXED_LENGTH = re.compile(r"\^\[[^\]]+\]\{(\d+)\}\$")
"""A pattern that says how long a text is: one class of characters, so many times."""


def limit_in_words(limit: Limit) -> str:
    """A limit as people read it, and as PostgreSQL reads a literal: numbers in full, dates and times in ISO 8601."""
    if isinstance(limit, datetime):
        return limit.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return limit.isoformat() if isinstance(limit, date) else f"{limit:.16g}"


class Column(BaseModel):
    """One column: its type, whether it may be null, and the rules its values keep."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: PhysicalType
    description: str
    required: bool
    key_position: int | None = None
    unique: bool = False
    is_uuid: bool = False
    minimum: Limit | None = None
    maximum: Limit | None = None
    max_length: int | None = None
    """The most characters of a text: code points, as Spark, PostgreSQL and Python count them."""
    pattern: str | None = None
    valid_values: tuple[str, ...] = ()
    classification: str = ""
    """One of `CLASSES`; empty where one is needed and none is given."""
    references: tuple[str, str] | None = None
    """Table and column of the same layer that a value must exist in."""

    @property
    def postgres_type(self) -> str | None:
        """The PostgreSQL type, or None for a column that is not published."""
        return "uuid" if self.is_uuid else POSTGRES_TYPES.get(self.type)

    @property
    def longest(self) -> int | None:
        """The most characters that a text can have by any of its rules; None for no bound, or no text."""
        if self.is_uuid:
            return 36
        if self.valid_values:
            return max(map(len, self.valid_values))
        fixed = FIXED_LENGTH.fullmatch(self.pattern or "")
        return int(fixed[1]) if fixed else self.max_length

    @property
    def is_bounded(self) -> bool:
        """Whether no value can be so large that something else overflows; booleans always, bytes never are judged."""
        if self.type == "string":
            return self.longest is not None
        if self.type in ("boolean", "binary"):
            return True
        return self.minimum is not None and self.maximum is not None

    @property
    def postgres_limits(self) -> str:
        """The limits as a condition in PostgreSQL's SQL; empty for none. Null keeps them."""
        conditions = []
        if self.minimum is not None:
            conditions.append(f"{self.name} >= {self._literal(self.minimum)}")
        if self.maximum is not None:
            conditions.append(f"{self.name} <= {self._literal(self.maximum)}")
        if self.max_length is not None:
            conditions.append(f"char_length({self.name}) <= {self.max_length}")
        return " and ".join(conditions)

    def _literal(self, limit: Limit) -> str:
        words = limit_in_words(limit)
        return words if self.type in NUMBERS else f"{self.postgres_type} {quote_literal(words)}"


class Table(BaseModel):
    """One table of the lake, as its contract describes it."""

    model_config = ConfigDict(frozen=True)

    layer: Layer
    name: str
    version: str
    status: str
    purpose: str
    grain: str
    owner: str
    columns: tuple[Column, ...]
    cluster_by: tuple[str, ...] = ()
    freshness_column: str | None = None
    freshness_hours: int | None = None

    @property
    def full_name(self) -> str:
        """`<layer>.<table>`."""
        return f"{self.layer}.{self.name}"

    @property
    def key(self) -> list[str]:
        """Names of the primary key's columns, in order."""
        keyed = [column for column in self.columns if column.key_position]
        return [
            column.name for column in sorted(keyed, key=lambda column: column.key_position or 0)
        ]

    @property
    def column_names(self) -> list[str]:
        """Names of all columns, in order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: The table has none.
        """
        return {column.name: column for column in self.columns}[name]

    @property
    def published_columns(self) -> list[Column]:
        """The columns that PostgreSQL gets: all but raw bytes."""
        return [column for column in self.columns if column.postgres_type]

    @property
    def postgres_limits(self) -> dict[str, str]:
        """Check constraints that hold the columns' limits, by name.

        The name ends with a digest of the condition, so that a limit that changes is another constraint. What silver no
        longer holds is left as it was.
        """
        named = {}
        for column in self.published_columns:
            if condition := column.postgres_limits:
                digest = md5(condition.encode(), usedforsecurity=False).hexdigest()[:8]
                name = f"{LIMITS}{column.name}_{digest}"
                named[name] = f"check (_deleted or ({condition}))"
        return named

    def spark_schema(self) -> spark.StructType:
        """The Spark schema of the table, with nullability and column comments."""
        return spark.StructType(
            [
                spark.StructField(
                    column.name,
                    SPARK_TYPES[column.type],
                    nullable=not column.required,
                    metadata={"comment": column.description},
                )
                for column in self.columns
            ]
        )

    def postgres_ddl(self) -> list[str]:
        """Statements that make the table in PostgreSQL when it is not there, with comments.

        Besides the contract's columns each table has `_lake_version`, the Delta version in which the row
        last changed, and `_deleted`, which marks a row that silver no longer holds.
        """
        lines = [
            f"    {column.name} {column.postgres_type}{' not null' if column.required else ''}"
            for column in self.published_columns
        ]
        lines += [
            "    _lake_version bigint not null",
            "    _deleted boolean not null default false",
        ]
        lines.append(f"    primary key ({', '.join(self.key)})")
        lines += [f"    constraint {name} {rule}" for name, rule in self.postgres_limits.items()]
        body = ",\n".join(lines)
        return [
            f"create table if not exists {self.full_name} (\n{body}\n)",
            f"create index if not exists {self.name}_lake_version on {self.full_name} (_lake_version)",
            f"comment on table {self.full_name} is {quote_literal(self.purpose)}",
            *(
                f"comment on column {self.full_name}.{column.name} is {quote_literal(column.description)}"
                for column in self.published_columns
            ),
        ]


def quote_literal(text: str) -> str:
    """`text` as a standard SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


class _Odcs(BaseModel):
    """Base of the parts of the standard that Cinelake uses; other fields of the standard are let through."""

    model_config = ConfigDict(extra="ignore")


class _Property(_Odcs):
    name: str
    physicalType: PhysicalType
    description: str = Field(min_length=1)
    required: bool = False
    primaryKeyPosition: int | None = None
    unique: bool = False
    classification: str | None = None
    logicalTypeOptions: dict[str, Any] = {}
    quality: list[dict[str, Any]] = []
    relationships: list[dict[str, str]] = []

    def column(self) -> Column:
        valid = [
            q["arguments"]["validValues"] for q in self.quality if q["metric"] == "invalidValues"
        ]
        target = self.relationships[0]["to"].split(".") if self.relationships else None
        return Column(
            name=self.name,
            type=self.physicalType,
            description=self.description,
            required=self.required,
            key_position=self.primaryKeyPosition,
            unique=self.unique,
            is_uuid=self.logicalTypeOptions.get("format") == "uuid",
            minimum=self._limit("minimum"),
            maximum=self._limit("maximum"),
            max_length=self.logicalTypeOptions.get("maxLength"),
            pattern=self.logicalTypeOptions.get("pattern"),
            valid_values=tuple(valid[0]) if valid else (),
            classification=classified(self.classification, self.physicalType),
            references=(target[0], target[1]) if target else None,
        )

    def _limit(self, name: str) -> Limit | None:
        """A limit in the column's type; the standard writes those of dates and times as texts."""
        limit = self.logicalTypeOptions.get(name)
        if not isinstance(limit, str):
            return limit
        if self.physicalType == "date":
            return date.fromisoformat(limit)
        return datetime.fromisoformat(limit).astimezone(UTC)


class _Schema(_Odcs):
    name: str
    dataGranularityDescription: str
    properties: list[_Property]
    customProperties: list[dict[str, Any]] = []


class _Document(_Odcs):
    apiVersion: str = Field(pattern=r"^v3\.")
    kind: Literal["DataContract"]
    id: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    status: str
    description: dict[str, str]
    schemas: list[_Schema] = Field(alias="schema", min_length=1, max_length=1)
    slaProperties: list[dict[str, Any]] = []
    team: dict[str, Any]

    def table(self) -> Table:
        schema = self.schemas[0]
        layer, name = self.id.split(".")
        custom = {item["property"]: item["value"] for item in schema.customProperties}
        freshness = next(
            (sla for sla in self.slaProperties if sla["property"] == "freshness"), None
        )
        return Table(
            layer=layer,
            name=name,
            version=self.version,
            status=self.status,
            purpose=self.description["purpose"],
            grain=schema.dataGranularityDescription,
            owner=self.team["name"],
            columns=tuple(prop.column() for prop in schema.properties),
            cluster_by=tuple(custom.get("clusterBy", ())),
            freshness_column=freshness["element"].split(".")[1] if freshness else None,
            freshness_hours=freshness["value"] if freshness else None,
        )


def read_contract(path: Path) -> Table:
    """Read one contract file.

    Raises:
        BadInputError: The file cannot be read or is not a contract; the message names the file and the field.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise _invalid(str(path), error) from error
    return parse_contract(text, str(path))


def parse_contract(text: str, origin: str) -> Table:
    """Read a contract.

    Args:
        text: The document, in YAML.
        origin: Where it comes from, for the error's message.

    Raises:
        BadInputError: It is not a contract; the message names the origin and the field.
    """
    try:
        return _Document.model_validate(yaml.safe_load(text)).table()
    except (KeyError, ValueError, yaml.YAMLError) as error:
        raise _invalid(origin, error) from error


def _invalid(origin: str, error: Exception) -> BadInputError:
    return BadInputError(
        f"{origin} is not a valid data contract: {error}",
        "Compare it with a neighbour in lakehouse/contracts and with the ODCS v3 documentation.",
    )


@cache
def table(full_name: str) -> Table:
    """The contract of one table by its full name, for example `silver.ratings`."""
    layer, name = full_name.split(".")
    return read_contract(CONTRACTS / layer / f"{name}.yaml")


@cache
def tables(layer: Layer) -> tuple[Table, ...]:
    """All contracts of a layer, by name."""
    return tuple(read_contract(path) for path in sorted((CONTRACTS / layer).glob("*.yaml")))
