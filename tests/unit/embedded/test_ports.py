"""Ports for the embedded servers are free, different, and out of reach of outgoing connections."""

import socket

import pytest

from stream.embedded import ports


def test_ports_are_different_and_outside_the_range_of_outgoing_connections() -> None:
    chosen = ports.free_ports(20)
    assert len(set(chosen)) == 20
    assert all(port in ports.PORTS for port in chosen)
    assert max(ports.PORTS) < 32_768, "where Linux's range for outgoing connections begins"


def test_port_that_somebody_listens_on_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = ports.free_ports(2)
    with socket.create_server(("127.0.0.1", taken)):
        monkeypatch.setattr(ports.random, "sample", lambda *_: [taken, free])
        assert ports.free_ports(1) == [free]
