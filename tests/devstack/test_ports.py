import socket

from devstack.ports import choose_ports, free_ports, is_free


def test_the_wanted_port_is_taken_where_it_is_free() -> None:
    (port,) = free_ports(1)
    assert choose_ports({"api": port}) == ({"api": port}, [])


def test_another_port_where_it_is_taken_and_that_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        chosen, notes = choose_ports({"api": port})
        assert chosen["api"] != port
        assert is_free(chosen["api"])
        assert notes == [f"port {port} is taken: api listens on {chosen['api']}"]


def test_free_ports_are_distinct() -> None:
    assert len(set(free_ports(20))) == 20
