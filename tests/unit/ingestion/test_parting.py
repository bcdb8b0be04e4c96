"""How the API's worker ends a connection: no answer is lost, and nobody waits for what will not come."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ingestion.api.worker import part

PIECE = b" " * 65536


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's and the client's end of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server, client:
        client.settimeout(10)
        yield server, client


def filled(sender: socket.socket) -> int:
    """Send until there is room for no more; the number of bytes."""
    sender.setblocking(False)
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += sender.send(PIECE)
    sender.settimeout(10)
    return sent


def test_an_answer_that_is_still_on_its_way_arrives_whole(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    sent = filled(server)
    part(server)
    server.close()
    assert len(b"".join(iter(lambda: client.recv(len(PIECE)), b""))) == sent


def test_a_client_that_waits_for_room_to_send_is_told_and_has_the_answer(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    server, client = ends
    filled(client)
    server.sendall(b"too much")
    part(server)
    server.close()
    with pytest.raises(ConnectionError):
        while True:
            client.sendall(PIECE)
    assert client.recv(100) == b"too much"
