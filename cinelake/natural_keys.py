"""Natural keys of several parts as one text."""

ESCAPE = "\\"


def natural_key(*parts: str, separator: str = "|") -> str:
    r"""Join the parts of a key such that no other parts give the same text.

    In each part the escape sign and the separator are escaped (`\` becomes `\\`, `|` becomes `\|`), so a key whose
    parts hold neither is its parts joined, and nothing else.

    Args:
        parts: The parts, in order.
        separator: The single character between them.
    """
    return separator.join(
        part.replace(ESCAPE, ESCAPE + ESCAPE).replace(separator, ESCAPE + separator)
        for part in parts
    )
