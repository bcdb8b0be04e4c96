"""Where a visitor came from: directly, from a page of our own, from a search engine, a social network, or elsewhere."""

from collections.abc import Collection

from pyspark.sql import Column
from pyspark.sql import functions as F

_ANY_COUNTRY = r"(com|[a-z]{2}|com?\.[a-z]{2})"
"""What may follow a name that has a host in most countries, for example `google.co.uk` and `google.com.br`."""
SEARCH_HOSTS = (
    rf"((www|m|images|encrypted)\.)?google\.{_ANY_COUNTRY}",
    r"((www|www[0-9]|cn|m)\.)?bing\.com",
    r"((www|html|lite|safe|start|noai)\.)?duckduckgo\.com",
    r"([a-z.]+\.)?search\.yahoo\.(com|co\.jp)",
    # Search Console is for those whose pages are found.
    r"search\.(?!google\.)[a-z0-9-]+(?:\.[a-z]+)*+",
    r"((www|m|wap|image)\.)?baidu\.com",
    rf"((www|m)\.)?yandex\.{_ANY_COUNTRY}",
    r"((www|m)\.)?ya\.ru",
    r"(www\.)?ecosia\.org",
    r"((www|lite)\.)?qwant\.com",
    r"(www\.)?startpage\.com",
    r"(www\.)?kagi\.com",
    r"m\.search\.naver\.com",
    r"((www|m|wap)\.)?sogou\.com",
    r"((www|m)\.)?so\.com",
    r"(www\.)?(ask\.com|mojeek\.com|metager\.(de|org)|swisscows\.com|presearch\.com)",
)
"""Hosts of search engines, as regular expressions. Mail, documents, maps and news of the same companies are none."""
SOCIAL_HOSTS = (
    *("facebook.com", "instagram.com", "threads.net", "twitter.com", "x.com", "t.co", "reddit.com"),
    *("linkedin.com", "lnkd.in", "tiktok.com", "youtube.com", "youtu.be", "bsky.app", "vk.com"),
    *("mastodon.social", "letterboxd.com", "weibo.com", "t.me", "discord.com", "whatsapp.com"),
    "threads.com",
)
"""Domains of social networks; all hosts below them count."""

LONGEST_HOST = 253
"""Characters of the name of a host."""
_HOST = r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?:[^/?#\\]*@)?([^/?#\\:@]+)"
"""The host of an address: after a user and a password, before a port. An address may leave out its scheme."""


def classify(referrer: Column, site_hosts: Collection[str]) -> Column:
    """The class of a referrer, one of those in the contract of `silver.events`.

    Args:
        referrer: The address of the page that led here; null or blank for none.
        site_hosts: Host names of our own pages, in lower case.
    """
    address = F.trim(referrer)
    # A name that ends with a dot is the same one, said in full.
    named = F.regexp_replace(F.lower(F.regexp_extract(address, _HOST, 1)), r"\.$", "")
    # Java looks for a host of any length as deep as it is long; a longer one is none (RFC 1035, section 2.3.4).
    host = F.when(F.char_length(named) <= LONGEST_HOST, named)
    search = rf"^({'|'.join(SEARCH_HOSTS)})$"
    social = rf"(^|\.)({'|'.join(map(_escaped, SOCIAL_HOSTS))}|pinterest\.{_ANY_COUNTRY})$"
    # A path without a host can only be a page of the same site.
    is_path = address.startswith("/") & ~address.startswith("//")
    is_own = is_path | (host.isin(*site_hosts) if site_hosts else F.lit(False))
    return (
        F.when(F.coalesce(address, F.lit("")) == "", "direct")
        .when(is_own, "internal")
        .when(host.rlike(search), "search")
        .when(host.rlike(social), "social")
        .otherwise("other")
    )


def _escaped(host: str) -> str:
    return host.replace(".", r"\.")
