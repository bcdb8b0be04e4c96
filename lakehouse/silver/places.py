"""Where and when a visitor is: the country in the locale, and the hour by the user's own clock."""

from functools import cache

from pyspark import SparkContext
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.silver.iso_codes import country_names, is_known

_REGION = r"^[A-Za-z]{2,3}(?:[-_][A-Za-z]{4})?[-_]([A-Za-z]{2})(?:[-_.@].*)?$"
"""Language, script and region of a language tag (RFC 5646), or of a POSIX locale."""


def country_of(locale: Column) -> Column:
    """The ISO 3166-1 code of the region in a locale such as `en-GB` or `zh_Hant_TW`; null where it has none."""
    code = F.upper(F.regexp_extract(locale, _REGION, 1))
    return F.when(is_known(code, country_names()), code)


@cache
def time_zones() -> frozenset[str]:
    """Names of the time zones that Spark knows: those of its Java, whose list may be older than the world's."""
    context = SparkContext.getOrCreate()
    assert context._jvm is not None, "a context that runs has one"
    return frozenset(context._jvm.java.time.ZoneId.getAvailableZoneIds())


def local_hour(moment: Column, zone: Column) -> Column:
    """The hour of the day, 0 to 23, in a time zone; null where the zone is not known.

    Args:
        moment: A time.
        zone: The name of an IANA time zone.
    """
    # Spark fails on a name it does not know, whichever branch it stands in; so none reaches it.
    known = F.when(zone.isin(*sorted(time_zones())), zone)
    return F.hour(F.from_utc_timestamp(moment, known))
