"""The one place that takes TMDB's key out of text: an address, an error, a log line."""

import logging
import re

HIDDEN = "***"
_SHOWN = re.compile(r"(?i)(api_key=|bearer\s+)[^\s&\"'<>]+")


def redact(text: str, secret: str = "") -> str:
    """The text without any key.

    Args:
        text: Anything that may hold an address or a header.
        secret: The key itself, taken out wherever it stands; empty when it is not known.

    Returns:
        The text with `***` in place of each key.
    """
    if secret:
        text = text.replace(secret, HIDDEN)
    return _SHOWN.sub(rf"\g<1>{HIDDEN}", text)


class RedactingFilter(logging.Filter):
    """Takes the key out of a library's log lines: urllib3 writes each address when it logs at DEBUG.

    Args:
        secret: The key.
    """

    def __init__(self, secret: str) -> None:
        super().__init__()
        self._secret = secret

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record; always lets it pass."""
        record.msg, record.args = redact(record.getMessage(), self._secret), ()
        return True


_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry", "requests")


def guard_library_logs(secret: str) -> None:
    """Keep the key out of what requests and urllib3 log in this process, at any level.

    Args:
        secret: The key.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        for old in [each for each in logger.filters if isinstance(each, RedactingFilter)]:
            if old._secret == secret:
                break
        else:
            logger.addFilter(RedactingFilter(secret))
