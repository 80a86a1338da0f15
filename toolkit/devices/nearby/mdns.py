"""SSH servers that announce themselves on the local network (mDNS, as Avahi and Bonjour do)."""

import queue
import time
from collections.abc import Iterator, Sequence

from zeroconf import InterfaceChoice, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from toolkit.devices.nearby.sighting import Sighting
from toolkit.errors import BoardError

_SERVICE = "_ssh._tcp.local."
_ASK_MS = 3000


def ssh_servers(wait_s: float, interfaces: Sequence[str] | None = None) -> Iterator[Sighting]:
    """Each server once, as it answers within that time; on all interfaces unless their addresses are given.

    Raises BoardError where this machine has no network to ask.
    """
    names: queue.Queue[str] = queue.Queue()

    def on_change(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Added:
            names.put(name)

    try:
        zeroconf = Zeroconf(interfaces=InterfaceChoice.All if interfaces is None else list(interfaces))
    except OSError as error:
        raise BoardError(
            f"the local network cannot be asked for boards: {error.strerror or error}",
            where="mDNS",
            next="Connect to a board by its address: `deploy connect [USER@]HOST`.",
        ) from None
    seen: set[str] = set()
    try:
        ServiceBrowser(zeroconf, _SERVICE, handlers=[on_change])
        until = time.monotonic() + wait_s
        while (left := until - time.monotonic()) > 0:
            try:
                name = names.get(timeout=left)
            except queue.Empty:
                break
            info = zeroconf.get_service_info(_SERVICE, name, timeout=_ASK_MS)
            found = sighting_of(info) if info else None
            if found and found.address not in seen:
                seen.add(found.address)
                yield found
    finally:
        zeroconf.close()


def sighting_of(info: ServiceInfo) -> Sighting | None:
    """The board behind an announcement; None if it tells no address. IPv4 first: it needs no interface beside it."""
    addresses = sorted(info.parsed_scoped_addresses(), key=lambda text: ":" in text)
    if not addresses:
        return None
    host, port = addresses[0], info.port or 22
    name = "".join(each for each in info.name.removesuffix(f".{_SERVICE}") if each.isprintable())
    at = host if port == 22 else f"{f'[{host}]' if ':' in host else host}:{port}"
    return Sighting("mdns", name, at)
