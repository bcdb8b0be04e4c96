"""What must not be in a log: e-mail and IP addresses of people, keys and passwords. The one place that takes them out."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

HIDDEN = "***"

EMAIL = r"[A-Za-z0-9._%+'-]+(?:@|%40)(?:[A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]+"
IPV4 = r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"
API_KEY = r"(?<![A-Za-z0-9])cl_[0-9a-f]{12}_[A-Za-z0-9_-]{20,100}"
"""As one pattern each for whoever cannot call `mask`, such as the JVM."""

_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?!\w)")
_EMAIL = re.compile(EMAIL)
_IPV4 = re.compile(IPV4)
_API_KEY = re.compile(API_KEY)
_PASSWORD_OF_URI = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@")
_NAMED_SECRET = re.compile(
    r"(?i)((?:api_?key|password|passwd|secret|token|authorization|bearer)[\"']?\s*[=: ]\s*[\"']?)"
    r"((?:bearer\s+|basic\s+)?[^\s&\"'<>,;)\]}]{6,})"
)


def mask(text: str) -> str:
    """The text with `***` in place of each e-mail address, IP address, key and password.

    Addresses of this machine (loopback) and those that mean no machine (`0.0.0.0`) stay: services have them, no person has.
    The user of a URI stays as well; the key's id, which may be shown, is given by who logs it.
    """
    if not _may_hold_any(text):
        return text
    text = _PASSWORD_OF_URI.sub(rf"\g<1>:{HIDDEN}@", text)
    text = _API_KEY.sub(HIDDEN, text)
    text = _EMAIL.sub(HIDDEN, text)
    text = _NAMED_SECRET.sub(rf"\g<1>{HIDDEN}", text)
    # Those of version 6 first, as one may end in one of version 4.
    return _IPV4.sub(_hide_address, _IPV6.sub(_hide_address, text))


def mask_all(value: Any) -> Any:
    """A value of a log line, with every text in it masked; what is no text, mapping or sequence stays as it is."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {mask_all(name): mask_all(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_all(each) for each in value]
    if isinstance(value, bool | int | float | None):
        return value
    # Its text is what would be logged of it.
    return mask(str(value))


def _may_hold_any(text: str) -> bool:
    """Cheap: most lines hold nothing of the kind."""
    return any(mark in text for mark in ("@", ".", ":", "=", "cl_", "%40", "earer"))


def _hide_address(found: re.Match[str]) -> str:
    text = found.group()
    # A colon that ends what comes before is none of the address.
    for address in (text, text.removesuffix(":")):
        try:
            parsed = ip_address(address)
        except ValueError:
            continue
        is_a_service = parsed.is_loopback or parsed.is_unspecified
        return text if is_a_service else HIDDEN + text[len(address) :]
    return text
