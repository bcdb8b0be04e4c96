"""Where a request comes from, as a socket or a proxy tells it."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

_WITH_PORT = re.compile(r"([^:]+):[0-9]{1,5}")
_BRACKETED = re.compile(r"\[([^]]+)](?::[0-9]{1,5})?")


@lru_cache(maxsize=1024)
def canonical_ip(told: str) -> str | None:
    """The IP address in what was told, always written the same way.

    Args:
        told: An address; IPv4 with a port or without, IPv6 alone or in brackets, then with a port or without.

    Returns:
        The address after RFC 5952, that of an IPv4 client of an IPv6 socket as IPv4; None for anything else.
    """
    try:
        if bracketed := _BRACKETED.fullmatch(told):
            address: IPv4Address | IPv6Address = IPv6Address(bracketed[1])
        elif with_port := _WITH_PORT.fullmatch(told):
            address = IPv4Address(with_port[1])
        else:
            address = ip_address(told)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    # A zone is a word of the machine that tells it, and may be any.
    return None if address.scope_id else str(address.ipv4_mapped or address)
