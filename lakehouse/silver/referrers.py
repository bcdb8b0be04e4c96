"""Where a visitor came from: directly, from a page of our own, from a search engine, a social network, or elsewhere."""

from collections.abc import Collection

from pyspark.sql import Column
from pyspark.sql import functions as F

SEARCH = (
    *("google", "bing", "duckduckgo", "yahoo", "baidu", "yandex", "ecosia", "qwant"),
    *("startpage", "kagi", "naver", "seznam", "sogou", "search"),
)
"""Names of search engines as they stand in a host, whatever country it belongs to."""
SOCIAL_HOSTS = (
    *("facebook.com", "instagram.com", "threads.net", "twitter.com", "x.com", "t.co", "reddit.com"),
    *("linkedin.com", "lnkd.in", "tiktok.com", "youtube.com", "youtu.be", "bsky.app", "vk.com"),
    *("mastodon.social", "letterboxd.com", "weibo.com", "t.me", "discord.com", "whatsapp.com"),
    "pinterest.com",
)

_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)"


def classify(referrer: Column, site_hosts: Collection[str]) -> Column:
    """The class of a referrer, one of those in the contract of `silver.events`.

    Args:
        referrer: The address of the page that led here; null or blank for none.
        site_hosts: Host names of our own pages, in lower case.
    """
    host = F.lower(F.regexp_extract(referrer, _HOST, 1))
    name = r"(^|\.)(" + "|".join(SEARCH) + r")\.[a-z.]+$"
    social = r"(^|\.)(" + "|".join(map(_escaped, SOCIAL_HOSTS)) + r")$"
    # A path without a host can only be a page of the same site.
    is_own = referrer.startswith("/") | (host.isin(*site_hosts) if site_hosts else F.lit(False))
    return (
        F.when(F.coalesce(F.trim(referrer), F.lit("")) == "", "direct")
        .when(is_own, "internal")
        .when(host.rlike(name), "search")
        .when(host.rlike(social), "social")
        .otherwise("other")
    )


def _escaped(host: str) -> str:
    return host.replace(".", r"\.")
