"""Reading TMDB answers out of Kafka messages, with every text in one form."""

from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from lakehouse.quarantine import COORDINATES

ANSWER_DDL = """
    fetched_at string, deleted_at string, content_hash string,
    movie struct<
        id string, title string, original_title string, original_language string, overview string,
        tagline string, status string, release_date string, runtime string, budget string, revenue string,
        popularity string, vote_average string, vote_count string, homepage string, imdb_id string,
        adult boolean,
        genres array<struct<id string, name string>>,
        production_companies array<struct<id string, name string, origin_country string>>,
        production_countries array<struct<iso_3166_1 string, name string>>,
        spoken_languages array<struct<iso_639_1 string, name string, english_name string>>,
        keywords struct<keywords array<struct<id string, name string>>>,
        credits struct<
            `cast` array<struct<
                credit_id string, id string, name string, original_name string,
                known_for_department string, `character` string, `order` string
            >>,
            crew array<struct<
                credit_id string, id string, name string, original_name string,
                known_for_department string, department string, job string
            >>
        >
    >, _corrupt string
"""
"""The parts of a published answer that silver reads, named as TMDB's `/movie/{id}` names them; `keywords` and
`credits` as `append_to_response` adds them (https://developer.themoviedb.org/docs/append-to-response).

Numbers are texts here, so that one that is sent as a text, or is none, does not make the whole answer unreadable."""


def parse(messages: DataFrame) -> DataFrame:
    """Bytes to typed fields.

    Args:
        messages: Rows of `bronze.movie`.

    Returns:
        A row a message: Kafka coordinates, `timestamp` (Kafka's), `payload` (the original bytes), `text`, `is_utf8`,
        and the fields of `ANSWER_DDL`. Every text in those is trimmed and in Unicode form NFC, and blank becomes
        null. What cannot be read is null, and `_corrupt` or `is_utf8` tells.
    """
    sent = F.col("value").cast("string")
    text = F.make_valid_utf8(sent)
    return messages.select(
        F.col("topic").alias("kafka_topic"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        "timestamp",
        F.col("value").alias("payload"),
        text.alias("text"),
        F.is_valid_utf8(sent).alias("is_utf8"),
        _in_one_form(
            F.from_json(
                text, ANSWER_DDL, {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_corrupt"}
            )
        ).alias("answer"),
    ).select(*COORDINATES, "timestamp", "payload", "text", "is_utf8", "answer.*")


def _in_one_form(answer: Column) -> Column:
    # Spark has no built-in for Unicode forms, and its trim knows no space but U+0020. One call for the whole
    # answer, vectorised by Arrow, costs one trip to Python instead of one a text.
    # Spark's stubs ask for the kind of UDF, which Spark itself reads off the type hints.
    clean = arrow_udf(texts_in_one_form, ANSWER_DDL)  # type: ignore[call-overload]
    return cast(Column, clean(answer))


def texts_in_one_form(values: pa.Array) -> pa.Array:
    """The same values with every text in it trimmed of Unicode white space and normalised to NFC; blank is null.

    Args:
        values: Texts, or structs and lists of any depth that hold some; other values stay as they are.
    """
    if pa.types.is_string(values.type):
        clean = pc.utf8_trim_whitespace(pc.utf8_normalize(values, form="NFC"))
        return pc.if_else(pc.equal(clean, ""), pa.scalar(None, values.type), clean)
    if pa.types.is_struct(values.type):
        fields = [texts_in_one_form(values.field(place)) for place in range(values.type.num_fields)]
        return pa.StructArray.from_arrays(fields, fields=list(values.type), mask=values.is_null())
    if pa.types.is_list(values.type):
        elements = texts_in_one_form(values.values)
        return pa.ListArray.from_arrays(
            values.offsets, elements, type=values.type, mask=values.is_null()
        )
    return values
