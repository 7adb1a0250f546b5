import socket

import pytest

from local.demo import machine
from local.stack import free_port


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> tuple[int, ...]:
    """Let the usual ports be ones that are free here."""
    ports = tuple(free_port() for _ in range(3))
    for name, port in zip(("AIRFLOW", "AWS", "EMR"), ports, strict=True):
        monkeypatch.setattr(machine, name, port)
    return ports


def close(ports: machine.Ports) -> None:
    for claim in ports.claims:
        claim.close()


def test_the_usual_ports(usual: tuple[int, ...]) -> None:
    ports = machine.choose(None)
    assert (ports.airflow, ports.aws, ports.emr) == usual
    assert ports.missed == ()
    close(ports)


def test_a_port_in_use(usual: tuple[int, ...]) -> None:
    with socket.create_server(("127.0.0.1", usual[1])):
        ports = machine.choose(None)
    assert (ports.airflow, ports.emr) == (usual[0], usual[2])
    assert ports.aws not in usual
    assert ports.missed == (usual[1],)
    close(ports)


def test_two_demos_that_start_at_once(usual: tuple[int, ...]) -> None:
    first, second = machine.choose(None), machine.choose(None)
    assert (first.airflow, first.aws, first.emr) == usual
    assert second.missed == usual
    close(first)
    close(second)
    third = machine.choose(None)
    assert third.missed == ()
    close(third)


def test_a_port_that_was_asked_for() -> None:
    port = free_port()
    ports = machine.choose(port)
    assert ports.airflow == port
    close(ports)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(machine.PortError, match=rf"Port {port} cannot be taken \(Address already in use\)"),
    ):
        machine.choose(port)


def test_ports_of_aws_and_emr_that_were_asked_for(usual: tuple[int, ...]) -> None:
    aws, emr = free_port(), free_port()
    ports = machine.choose(aws=aws, emr=emr)
    assert (ports.airflow, ports.aws, ports.emr, ports.missed) == (usual[0], aws, emr, ())
    close(ports)
    ports = machine.choose(aws=usual[2])  # the usual one of EMR
    assert ports.aws == usual[2] != ports.emr
    assert ports.missed == (usual[2],)
    close(ports)


@pytest.mark.parametrize(
    ("aws", "emr", "message"),
    [
        (9000, 9000, "Port 9000 was asked for twice: Airflow, AWS and EMR need one each"),
        (65536, None, "Port 65536 was asked for: expected one from 1 to 65535"),
        (None, 0, "Port 0 was asked for"),
    ],
)
def test_ports_that_make_no_sense(aws: int | None, emr: int | None, message: str) -> None:
    with pytest.raises(machine.PortError, match=message):
        machine.choose(aws=aws, emr=emr)
