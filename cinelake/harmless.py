"""Texts of others as they may be shown and logged: nothing in them steers a terminal."""


def harmless(text: str, kept: str = "\n\t") -> str:
    r"""A text with the code of each character that cannot be seen in its place, as `\u001b`.

    Args:
        text: Of anybody.
        kept: Characters that stay all the same.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in kept else f"\\u{ord(char):04x}" for char in text
    )
