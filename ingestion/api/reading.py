"""Reading a request's body: no longer than allowed, no slower than allowed, inflated no further than allowed."""

import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)
from werkzeug.wsgi import get_content_length

from cinelake.errors import BadInputError
from ingestion.api.slow_reads import watch

MAX_BODY_BYTES = 1024 * 1024
"""Of a body as it came, and inflated: what is refused must fit into one Kafka message."""
MAX_CODINGS = 2
"""A proxy may pack what a client has packed already."""
MAX_MEMBERS = 64
"""Each costs a copy of what follows it."""
_GZIP = 16 + zlib.MAX_WBITS


class CompressedBodyError(BadInputError):
    """A body that says it is gzip and is not, whole or in part.

    Args:
        message: What is wrong with it.
        body: The body as it came.
    """

    def __init__(self, message: str, body: bytes) -> None:
        super().__init__(message)
        self.body = body


def read_body(request: Request) -> bytes:
    """Read a request's body.

    Args:
        request: The request; nothing of its body was read yet.

    Returns:
        The body, without its content codings.

    Raises:
        BadRequest: It ends before its end, or is not framed as HTTP has it.
        UnsupportedMediaType: It has another coding than gzip, or more than `MAX_CODINGS` of them.
        RequestEntityTooLarge: It has more than `MAX_BODY_BYTES`, or inflates to more.
        RequestTimeout: It was not there after `READ_SECONDS`.
        CompressedBodyError: It cannot be inflated.
    """
    environ = request.environ
    codings = _codings(environ.get("HTTP_CONTENT_ENCODING", ""))
    # A body that says how long it is costs nothing when it is too long.
    length = get_content_length(environ) or 0
    if length > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    with _in_time(environ.get("gunicorn.socket")):
        body = _read(request, length)
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    came = body
    for _ in range(codings):
        body = _inflated(body, came)
    return body


@lru_cache(maxsize=64)
def _codings(header: str) -> int:
    """How often a body is to be inflated, by its `Content-Encoding`: a list of names in any case (RFC 9110, 8.4).

    Raises:
        UnsupportedMediaType: It names another coding than gzip, or too many.
    """
    names = [name.strip().lower() for name in header.split(",")]
    applied = [name for name in names if name not in ("", "identity")]
    if len(applied) > MAX_CODINGS or not set(applied) <= {"gzip", "x-gzip"}:
        raise UnsupportedMediaType("Send the events plain or with gzip.")
    return len(applied)


def _read(request: Request, length: int) -> bytes:
    """A body; of one that is too long and did not say so, a byte more than is allowed, which gives it away.

    Args:
        request: The request.
        length: The bytes that it says it has; 0 when it does not say.
    """
    if "wsgi.input_terminated" not in request.environ:
        return request.get_data(cache=False)
    # The server ends the stream where the body ends, so that nothing has to be put around it.
    try:
        read: bytes = request.environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
    except (ParseException, OSError):
        # The error itself quotes the body.
        raise BadRequest("The body is not framed as HTTP has it, or does not end.") from None
    # The server says nothing when the client hangs up within a body of a known length.
    if len(read) < length:
        raise BadRequest("The body is shorter than it says.")
    return read


def _inflated(packed: bytes, came: bytes) -> bytes:
    """What a body of gzip holds, in one member or a few (RFC 1952, section 2.2).

    Args:
        packed: The body.
        came: The body as it came, before any coding was undone.
    """
    inflated, rest = b"", packed
    for _ in range(MAX_MEMBERS):
        stream = zlib.decompressobj(_GZIP)
        try:
            inflated += stream.decompress(rest, MAX_BODY_BYTES - len(inflated) + 1)
        except zlib.error as error:
            raise CompressedBodyError(f"The body is not gzip: {error}", came) from None
        if len(inflated) > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        if not stream.eof:
            raise CompressedBodyError("The body ends within a member of gzip.", came)
        rest = stream.unused_data
        if not rest:
            return inflated
    raise CompressedBodyError(f"The body has more than {MAX_MEMBERS} members of gzip.", came)


@contextmanager
def _in_time(connection: socket.socket | None) -> Iterator[None]:
    """Let the block read from a connection for `READ_SECONDS`; then its reads end, and it fails with 408."""
    if connection is None:
        yield
        return
    watch().begin(connection)
    try:
        yield
    finally:
        # However the reading has ended, it is because its time was over.
        if watch().end(connection):
            raise RequestTimeout from None
