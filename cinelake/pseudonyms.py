"""Pseudonyms in place of e-mail and IP addresses, wherever a text holds them: the one place that finds and replaces them.

An address is found by its form, in percent-encoding too, and becomes the HMAC-SHA256 of its canonical form, hexadecimal: of an
e-mail address in lower case, Unicode form NFC and without percent-encoding; of an IP address as RFC 5952 writes it, one of
version 4 in version 6 as version 4. So one address has one pseudonym, however it is spelled and wherever it stands.

What has no such form stays: an address that is split, spelled out (`ada at example.org`), quoted before its `@` or of a host
without a dot. So do addresses of the machine itself and those that mean none (`127.0.0.1`, `0.0.0.0`), which no person has, and
numbers with dots that are a version's: see `Quads`.
"""

import hmac
import re
import string
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import orjson

from cinelake.masking import HIDDEN

_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u065f\u0900-\u109f\u1ab0-\u1aff\u200c\u200d\udc80-\udcff"
"""Signs that belong to letters of many scripts, and are none to Python; and bytes in percent-encoding that are no UTF-8."""
_IN_LOCAL = rf"\w.%+'\-{_MARKS}"
_QUAD = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
_TOP = rf"(?:xn--[a-z0-9-]+|[a-z]{{2,63}}|(?:[^\W\d_a-z]|[{_MARKS}]){{2,63}})"
# `logo@2x.png` is an image for fine screens.
_EMAIL = (
    rf"(?<![{_IN_LOCAL}])[{_IN_LOCAL}]+@(?![0-9](?:\.[0-9])?x\.)"
    rf"(?:(?:[\w\-{_MARKS}]+\.)+{_TOP}|\[?{_QUAD}\]?)"
)
_HEAD = r"(?:[23][0-9a-f]{3}|f[cd][0-9a-f]{2}|fe[89a-f][0-9a-f])"
"""How an address of version 6 begins that a machine can have (RFC 4291); others are clock times, or names in a program."""
_IPV6 = (
    rf"(?<![0-9a-z])(?:{_HEAD}(?::[0-9a-f]{{0,4}}){{1,6}}:{_QUAD}|{_HEAD}(?::[0-9a-f]{{0,4}}){{2,7}}"
    r"|::ffff:[0-9a-f]{1,4}:[0-9a-f]{1,4})(?![0-9a-z])"
)
_IPV4 = rf"(?<![0-9a-z])(?<![0-9]\.){_QUAD}(?!\.?[0-9]|[a-z])"
_ADDRESS = re.compile(rf"(?P<email>{_EMAIL})|(?P<ipv6>{_IPV6})|(?P<ipv4>{_IPV4})", re.IGNORECASE)

LIKELY = r"@|%(?:25)*(?:40|3[Aa])|[0-9]\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:"
"""What every text with an address matches, and few others do; Java reads it alike."""
_LIKELY = re.compile(LIKELY)

_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_TIMES_ENCODED = 3
"""How often an address may be percent-encoded: once in an address of a page, once more in one that leads on to it."""
_NAMED_VERSION = re.compile(
    r"(?<![a-z])(?:version|ver|rv|build|release|firmware)[\s:=/_-]*$", re.IGNORECASE
)
_PRODUCT = re.compile(r"(?<![^\s(;,])[A-Z][\w.+!-]*/$")
_PART_OF_PROGRAM = re.compile(r"[\w)\]!.+-]/$")
_AFTER_NAME = re.compile(r"[A-Za-z][ :]$|\w[_-]$")
_NEAR = 64
"""How far before a number its name is looked for, in characters."""
_WITHOUT_BLANKS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_PLAIN = string.ascii_letters + string.digits + "_.%+'-"
"""What stands before the `@` of an address in a script with blanks."""


LONGEST_ID = 128
"""The most characters of an id of a user, a visitor, a session, a play or a comment, as the event contract has it."""


class Quads(Enum):
    """What four numbers with dots are besides IP addresses.

    In every text but `VERSIONS` they are a version where they end in `.0.0.0`, or follow a word such as `version` or `rv:`, or a
    slash after a product's name with a capital that begins the text or follows a blank (`Firefox/1.5.0.4`).
    """

    ADDRESSES = "addresses"
    """Nothing else, as in anybody's words."""
    OF_PROGRAMS = "of programs"
    """Also versions after any name and a slash, and, with a first number below 10, after a name and a blank, a hyphen or a colon."""
    VERSIONS = "versions"
    """Always versions."""


@dataclass(frozen=True)
class Pseudonyms:
    """Replaces addresses by pseudonyms.

    Args:
        secret: The key of the HMAC.
    """

    secret: str = field(repr=False)

    def of_email(self, address: str) -> str:
        """The pseudonym of what is known to be an e-mail address, in any form."""
        return self._of(_canonical_email(_decoded(address.strip())[0]))

    def in_text(self, text: str, limit: int | None = None, quads: Quads = Quads.ADDRESSES) -> str:
        """The text with pseudonyms in place of addresses; one without any stays as it is.

        Args:
            text: Anybody's words.
            limit: The most characters of the text. Where pseudonyms would make it longer, each address becomes `***`.
            quads: What four numbers with dots are.
        """
        if not _LIKELY.search(text):
            return text
        found = list(_addresses(text, quads))
        with_pseudonyms = _replaced(text, [(a, b, self._of(each)) for a, b, each in found])
        if limit is None or len(with_pseudonyms) <= limit:
            return with_pseudonyms
        return _HIDDEN.in_text(text, None, quads)

    def in_id(self, text: str) -> str:
        """The same of an id: where pseudonyms would make it longer than `LONGEST_ID`, the whole id is one."""
        replaced = self.in_text(text)
        return replaced if len(replaced) <= LONGEST_ID or replaced == text else self._of(replaced)

    def in_json(
        self, text: str, limit: int | None, limits: Mapping[str, int], ids: Collection[str]
    ) -> str:
        """The same of every text and name in a JSON object, which stays one; of two names that become one the last counts.

        Its own `email`, where that is a text, becomes `email_hash`, whatever its form. An `email_hash` that was sent is left
        out: it is no pseudonym of ours.

        Args:
            text: The object; what is no JSON is taken for any other text.
            limit: The most characters of all of it. Where pseudonyms would make it longer, each address becomes `***`.
            limits: The most characters of its own texts, by name.
            ids: Which of its own texts are ids.
        """
        try:
            sent = orjson.loads(text)
            if not isinstance(sent, dict):
                return self.in_text(text, limit)
            own = self._own(sent, ids)
            for words in (self, _HIDDEN):
                rest = {
                    words.in_text(name): words._in_value(each, limits.get(name))
                    for name, each in sent.items()
                    if name not in own and not _tells_address(name, each)
                }
                written = orjson.dumps(rest | own).decode()
                if limit is None or len(written) <= limit:
                    break
            return text if rest | own == sent else written
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
            # No JSON, or nested so deeply that no event may hold it.
            return self.in_text(text, limit)

    def _own(self, sent: Mapping[str, Any], ids: Collection[str]) -> dict[str, Any]:
        """What stands for one value of an object as a whole: its ids, and the hash of its `email`."""
        own = {name: self.in_id(sent[name]) for name in ids if isinstance(sent.get(name), str)}
        email = sent.get("email")
        return own | ({"email_hash": self.of_email(email)} if isinstance(email, str) else {})

    def _in_value(self, value: Any, limit: int | None = None) -> Any:
        if isinstance(value, str):
            return self.in_text(value, limit)
        if isinstance(value, list):
            return [self._in_value(each) for each in value]
        if isinstance(value, dict):
            return {self.in_text(name): self._in_value(each) for name, each in value.items()}
        return value

    def _of(self, canonical: str) -> str:
        return hmac.digest(self.secret.encode(), canonical.encode(), "sha256").hex()


class _Hidden(Pseudonyms):
    """Has no pseudonyms, and so makes no text longer."""

    def _of(self, canonical: str) -> str:
        return HIDDEN


_HIDDEN = _Hidden("")


def _tells_address(name: str, value: Any) -> bool:
    return name == "email_hash" or (name == "email" and isinstance(value, str | None))


def _addresses(text: str, quads: Quads) -> Iterator[tuple[int, int, str]]:
    """Where each address begins and ends in a text, and its canonical form."""
    plain, places = _decoded(text)
    for found in _ADDRESS.finditer(plain):
        begin, end = found.span()
        canonical: str | None
        if found["email"]:
            begin += _before_address(found["email"])
            canonical = _canonical_email(plain[begin:end])
        elif found["ipv6"]:
            end, canonical = _canonical_ipv6(plain, begin, end)
        elif _is_version(plain, begin, found["ipv4"], quads):
            canonical = None
        else:
            canonical = _canonical_ipv4(found["ipv4"])
        if canonical:
            yield places[begin], places[end], canonical


def _replaced(text: str, found: list[tuple[int, int, str]]) -> str:
    parts, last = [], 0
    for begin, end, instead in found:
        parts += [text[last:begin], instead]
        last = end
    return "".join([*parts, text[last:]])


def _decoded(text: str) -> tuple[str, list[int]]:
    """A text without its percent-encoding, and where each character and the end of it are in the text."""
    places = list(range(len(text) + 1))
    for _ in range(_TIMES_ENCODED):
        parts: list[str] = []
        new_places: list[int] = []
        last = 0
        for escapes in _ESCAPES.finditer(text):
            begin, end = escapes.span()
            parts.append(text[last:begin])
            new_places += places[last:begin]
            # A byte that is no UTF-8 is one character.
            for sign in bytes.fromhex(escapes[0].replace("%", "")).decode(errors="surrogateescape"):
                parts.append(sign)
                new_places.append(places[begin])
                begin += 3 * len(sign.encode(errors="surrogateescape"))
            last = end
        if not last:
            break
        text, places = "".join([*parts, text[last:]]), new_places + places[last:]
    return text, places


# --- Canonical forms ----------------------------------------------------------------------------------------


def _before_address(found: str) -> int:
    """How many characters of what was found come before the address: quotes, dots, and words of a script without blanks."""
    local = found.rpartition("@")[0]
    begin = len(local) - len(local.lstrip(".'-+%"))
    words = local.rstrip(_PLAIN)
    if len(words) < len(local) and _WITHOUT_BLANKS.search(words):
        begin = max(begin, len(words))
    return begin


def _canonical_email(address: str) -> str:
    # Half of a character in percent-encoding is no text that can be hashed.
    whole = address.encode(errors="replace").decode()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", whole).lower())


def _canonical_ipv6(text: str, begin: int, end: int) -> tuple[int, str | None]:
    """Where the address that begins in a text ends, and its form; a port or a colon behind it is none of it."""
    while begin < end:
        try:
            address = IPv6Address(text[begin:end])
        except ValueError:
            end = text.rfind(":", begin, end)
            continue
        return end, _of_somebody(address.ipv4_mapped or address)
    return begin, None


def _canonical_ipv4(quad: str) -> str | None:
    numbers = [int(number) for number in quad.split(".")]
    if max(numbers) > 255:
        return None
    return _of_somebody(IPv4Address(".".join(map(str, numbers))))


def _of_somebody(address: IPv4Address | IPv6Address) -> str | None:
    return None if address.is_loopback or address.is_unspecified else str(address)


def _is_version(text: str, begin: int, quad: str, quads: Quads) -> bool:
    if quads is Quads.VERSIONS or quad.endswith(".0.0.0"):
        return True
    names = [_NAMED_VERSION, _PRODUCT]
    if quads is Quads.OF_PROGRAMS:
        names.append(_PART_OF_PROGRAM)
        if int(quad.partition(".")[0]) < 10:
            names.append(_AFTER_NAME)
    return any(name.search(text, max(0, begin - _NEAR), begin) for name in names)
