"""`silver.languages`: the languages that are spoken in movies."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.silver import named
from lakehouse.silver.iso_codes import is_known, language_names, name_of


def transform(movies: DataFrame) -> DataFrame:
    """List languages.

    A language is its code: TMDB leaves the names of many blank, and those stay, without a name.

    Args:
        movies: Columns `fetched_at` and `spoken_languages` (array of `iso_639_1`, in small letters, `name` and
            `english_name`); any number of rows a movie.

    Returns:
        Rows of `silver.languages`: a row a code, also of one that ISO 639-1 does not know;
        `named_at` tells when that was fetched.
    """
    code = F.col("language.iso_639_1")
    languages = movies.select("fetched_at", F.explode("spoken_languages").alias("language"))
    return named.latest(
        languages.select(
            code.alias("language_code"),
            F.col("language.name").alias("name"),
            F.col("language.english_name").alias("english_name"),
            name_of(code, language_names()).alias("iso_name"),
            is_known(code, language_names()).alias("is_iso"),
            F.col("fetched_at").alias("named_at"),
        ),
        "language_code",
    )
