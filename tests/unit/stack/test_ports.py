"""A chosen port is free, and stays out of the way of outgoing connections."""

import socket
import threading

import pytest

from cinelake.errors import ServiceError
from cinelake.stack import ports


def listener() -> socket.socket:
    server = socket.socket()
    server.bind((ports.HOST, 0))
    server.listen()
    return server


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with listener() as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        assert not ports.becomes_free(port, patience=0.2)
    assert ports.is_free(port)


def test_a_port_that_is_given_back_in_time_becomes_free() -> None:
    server = listener()
    threading.Timer(0.3, server.close).start()
    assert ports.becomes_free(server.getsockname()[1], patience=5)


def test_a_chosen_port_is_free_and_was_not_given_away_before() -> None:
    given: list[int] = []
    for _ in range(20):
        given.append(ports.choose(given))
    assert len(set(given)) == 20
    assert all(ports.is_free(port) and port in ports.CHOICE for port in given)


def test_no_port_left_is_an_error() -> None:
    with pytest.raises(ServiceError, match="No loopback port is free"):
        ports.choose(ports.CHOICE)
