"""What a browser may load and run on a page of the site: its content security policy (https://www.w3.org/TR/CSP3/).

Each page says it itself, so that it holds wherever the site is served from. The site's own server repeats it as a header.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import unescape
from itertools import chain

NOTHING_ELSE = "default-src 'none'; base-uri 'none'; form-action 'self'; img-src 'self' data:"
OWN = (
    f"{NOTHING_ELSE}; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline';"
    " frame-src 'self'"
)
"""That of the site's own pages: no script but its files. Drawings have styles in their attributes."""
FRAMED_BY = "frame-ancestors 'self'"
"""What only a header can say."""

_SCRIPT = re.compile(r"<script\b(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_HANDLER = re.compile(r"\son\w+=\"([^\"]*)\"")
_META = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
META_WITHIN = 4096
"""Characters from the beginning of a page in which its policy stands: before whatever comes from data."""


def inline_scripts(page: str) -> list[str]:
    """The scripts that stand in a page, those of its elements' handlers among them."""
    handlers = (unescape(handler) for handler in _HANDLER.findall(page))
    return list(dict.fromkeys(chain(_SCRIPT.findall(page), handlers)))


def hash_of(script: str) -> str:
    """What a policy says to allow a script by its text."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def of_tool(scripts: Iterable[str], *, may_eval: bool = False) -> str:
    """The policy of a page that another tool wrote, which has scripts and styles of its own in it.

    Args:
        scripts: The scripts in the page that may run, by their text; no other does.
        may_eval: Whether they may make scripts of texts.
    """
    evaluation = ["'unsafe-eval'"] if may_eval else []
    allowed = ["'self'", "'unsafe-hashes'", *evaluation, *map(hash_of, scripts)]
    return (
        f"{NOTHING_ELSE}; script-src {' '.join(allowed)}; style-src 'self' 'unsafe-inline';"
        " font-src 'self' data:"
    )


def with_policy(page: str, policy: str) -> str:
    """A page that says its policy before anything else."""
    meta = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    return re.sub(r"<head\b[^>]*>", lambda head: head[0] + meta, page, count=1)


def policy_of(page: str) -> str:
    """The policy that a page says; that of the site's own where it says none.

    Args:
        page: The page, or its beginning.
    """
    found = _META.search(page)
    return unescape(found[1]) if found else OWN
