"""Logging in to an SSH server whose host key is verified: one offer after the other, or a BoardError that names all."""

from dataclasses import dataclass

import paramiko

from toolkit.devices.ssh.address import Address
from toolkit.devices.ssh.offers import (
    PASSWORD_METHODS,
    PASSWORD_VARIABLE,
    TYPED_ANSWERS,
    TYPED_PASSWORD,
    Offer,
    Unusable,
    ask,
    offers,
)
from toolkit.devices.ssh.questions import Questions
from toolkit.errors import BoardError


@dataclass(frozen=True)
class Login:
    """paramiko's strategy: makes every offer that the server takes and says what it refused."""

    address: Address

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Log in. Raises BoardError that names all that was offered."""
        address, questions, tried = self.address, Questions(), list[str]()
        allowed = _asked_for(transport, address.user)
        pending = list(offers(address, questions)) if allowed else []
        while offer := next((each for each in pending if each.give and each.methods & allowed), None):
            pending.remove(offer)
            if not transport.is_active():
                tried.append(f"{offer.label} (not tried: the server hung up)")
                continue
            label, allowed = _make(offer, transport, allowed)
            if not allowed:
                return
            tried.append(label)
        if not allowed:
            return
        ask.cache_clear()  # a wrong answer is not given twice
        tried += [_why_not(offer) for offer in pending if offer.label not in (TYPED_PASSWORD, TYPED_ANSWERS)]
        raise self._refused(tried, allowed, questions.unanswered)

    def _refused(self, tried: list[str], allowed: frozenset[str], unanswered: list[str]) -> BoardError:
        address = self.address
        what = f"{address.role} refuses user '{address.user}' with {', '.join(tried) or 'no key: none was found'}"
        make = "" if tried else "ssh-keygen -t ed25519 && "
        install = f"nstall your key there: `{make}ssh-copy-id {_copy_id(address)}`"
        by_password = any("password" in label for label in tried)
        if unanswered:
            what += f"; it asks for a second factor ('{unanswered[-1]}')"
            cure = "Run in a terminal, where it can be typed, or log in as a user whom a key alone lets in."
        elif any("asks for more" in label for label in tried) and allowed & PASSWORD_METHODS:
            cure = f"It wants a password as well: set {PASSWORD_VARIABLE}, or run in a terminal."
        elif allowed & PASSWORD_METHODS and not by_password:
            cure = f"Set {PASSWORD_VARIABLE}, run in a terminal to type the password, or i{install}"
        else:
            cure = f"Mend the password, or i{install}" if by_password else f"I{install}"
        return BoardError(what, where=address.where, next=cure)


def _asked_for(transport: paramiko.Transport, user: str) -> frozenset[str]:
    """The methods of which the server wants one; none if it lets everybody in."""
    try:
        return frozenset(transport.auth_none(user))
    except paramiko.BadAuthenticationType as error:
        return frozenset(error.allowed_types)


def _make(offer: Offer, transport: paramiko.Transport, allowed: frozenset[str]) -> tuple[str, frozenset[str]]:
    """What to call the offer now, and the methods that the server wants still."""
    assert offer.give
    try:
        return f"{offer.label} (accepted, but it asks for more)", frozenset(offer.give(transport, allowed))
    except Unusable as unusable:
        return f"{offer.label} ({unusable})", allowed
    except (paramiko.SSHException, EOFError) as error:
        old = "agree on a pubkey algorithm" in str(error)
        return f"{offer.label} (the server takes it only with SHA-1)" if old else offer.label, allowed


def _why_not(offer: Offer) -> str:
    if offer.give is None:
        return offer.label
    return f"{offer.label} (it takes no {'keys' if 'publickey' in offer.methods else 'passwords'})"


def _copy_id(address: Address) -> str:
    """`ssh-copy-id` has no -J."""
    return address.login.replace("-J ", "-o ProxyJump=", 1) if address.through else address.login
