"""Boards in sight: announced over mDNS on the loopback, attached to adb, behind a USB serial adapter."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial

import pytest
from serial.tools.list_ports_common import ListPortInfo
from zeroconf import ServiceInfo, Zeroconf

from toolkit.devices.nearby import serial_ports, ssh_servers
from toolkit.devices.nearby.adb_list import sighting_of as of_adb
from toolkit.devices.nearby.mdns import sighting_of as of_mdns
from toolkit.devices.nearby.serial_ports import is_usb
from toolkit.devices.nearby.serial_ports import sighting_of as of_port
from toolkit.targets.host import place_at

LOOPBACK = ["127.0.0.1"]
LONG_S = 60.0  # a busy machine answers late; what is awaited ends the wait


def service(name: str, port: int = 22, address: str = "127.0.0.1") -> ServiceInfo:
    kind = "_ssh._tcp.local."
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = [socket.inet_pton(family, address)]
    return ServiceInfo(kind, f"{name}.{kind}", port=port, addresses=packed, server=f"{name}.local.")


@contextmanager
def announced(*services: ServiceInfo) -> Iterator[None]:
    try:
        zeroconf = Zeroconf(interfaces=LOOPBACK)
    except OSError as error:
        pytest.skip(f"NO MULTICAST ON THE LOOPBACK: mDNS is NOT tested; {error}")
    with closing(zeroconf):
        # Together: before it speaks, each listens for half a second whether another bears its name.
        with ThreadPoolExecutor(len(services)) as together:
            list(together.map(partial(zeroconf.register_service, cooperating_responders=True), services))
        yield


def test_an_ssh_server_that_announces_itself_is_seen() -> None:
    with announced(service("test-kitchen", port=2222)), closing(ssh_servers(LONG_S, LOOPBACK)) as seen:
        found = next(each for each in seen if each.name == "test-kitchen")
    assert found.address == "127.0.0.1:2222"
    assert found.command == "deploy connect 127.0.0.1:2222"


def test_fifty_are_seen_each_once() -> None:
    fifty = [service(f"test-{index}", address=f"127.0.1.{index}") for index in range(50)]
    names: list[str] = []
    with announced(*fifty), closing(ssh_servers(LONG_S, LOOPBACK)) as seen:
        while len(names) < 50:
            name = next(seen).name
            names += [name] if name.startswith("test-") else []
    assert len(set(names)) == 50


def test_the_search_ends_where_nobody_answers() -> None:
    assert [each for each in ssh_servers(0.1, LOOPBACK) if each.name.startswith("test-")] == []


@pytest.mark.parametrize(
    ("info", "address"),
    [
        (service("pi", address="192.168.1.23"), "192.168.1.23"),
        (service("pi", address="2001:db8::5"), "2001:db8::5"),
        (service("pi", 2222, "2001:db8::5"), "[2001:db8::5]:2222"),
    ],
)
def test_every_address_is_one_that_connect_reads(info: ServiceInfo, address: str) -> None:
    found = of_mdns(info)
    assert found is not None
    assert found.address == address
    assert place_at(address).transport == "ssh"


@pytest.mark.parametrize(
    ("state", "hindrance"), [("device", ""), ("unauthorized", "accept"), ("recovery", "recovery"), ("offline", "plug")]
)
def test_what_adb_sees_is_told_with_what_is_in_the_way(state: str, hindrance: str) -> None:
    found = of_adb("0123", state)
    assert hindrance in found.hindrance
    assert bool(found.hindrance) == (state != "device")
    assert place_at(found.address).transport == "adb"


def test_a_usb_adapter_is_told_by_its_product() -> None:
    port = ListPortInfo("/dev/ttyUSB0")
    assert not is_usb(port)
    port.vid, port.product = 0x10C4, "CP2102 USB to UART Bridge Controller"
    assert is_usb(port)
    assert of_port(port).name == "CP2102 USB to UART Bridge Controller"
    assert place_at(of_port(port).address).transport == "serial"
    assert all(each.by == "usb" for each in serial_ports())
