"""A real SSH server, paramiko's, that asks in words of its own; OpenSSH's would need a PAM configuration for it."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
from openssh import Sshd


class _Asking(paramiko.ServerInterface):
    def __init__(self, questions: Sequence[tuple[str, str]], key_first: bool) -> None:
        self._questions, self._key_first, self._has_key = list(questions), key_first, False

    def get_allowed_auths(self, username: str) -> str:
        return "publickey" if self._key_first and not self._has_key else "keyboard-interactive"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._has_key = True
        return paramiko.common.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        return paramiko.InteractiveQuery("", "", *[(question, False) for question, _ in self._questions])

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        right = responses == [answer for _, answer in self._questions]
        return paramiko.common.AUTH_SUCCESSFUL if right else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_answer, args=(channel,), daemon=True).start()
        return True


def _answer(channel: paramiko.Channel) -> None:
    while channel.recv(1000):  # the client closes its end once it knows that the command has started
        pass
    channel.sendall(b"there\n")
    channel.send_exit_status(0)
    channel.close()


@contextmanager
def asking_sshd(known_to: Sshd, questions: Sequence[tuple[str, str]], *, key_first: bool) -> Iterator[int]:
    """The port of a server with the host key of another one; each question comes with its right answer."""
    host_key = paramiko.PKey.from_path(known_to.config.parent / "host_key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        line = Path(f"{known_to.config.parent}/host_key.pub").read_text()
        known_to.known_hosts.write_text(f"[127.0.0.1]:{port} {line}")

        def serve() -> None:
            with suppress(OSError):
                while True:
                    transport = paramiko.Transport(listener.accept()[0])
                    transport.add_server_key(host_key)
                    with suppress(paramiko.SSHException, EOFError):
                        transport.start_server(threading.Event(), _Asking(questions, key_first))

        threading.Thread(target=serve, daemon=True).start()
        yield port
        listener.shutdown(socket.SHUT_RDWR)
