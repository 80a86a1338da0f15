"""What a server asks in words of its own (keyboard-interactive): a password, a code, one after the other."""

import getpass
import sys
from collections.abc import Sequence

import paramiko

_PATIENCE_S = 120.0  # for a code to arrive; servers hang up after as long


class Questions:
    """Answers them with the secret that is at hand and, on a terminal, with what is typed.

    `unanswered` keeps those for which there was no answer.
    """

    def __init__(self) -> None:
        self.unanswered: list[str] = []

    def answer(self, transport: paramiko.Transport, user: str, secret: str | None) -> list[str]:
        """Let the server ask: the first hidden question gets the secret. Raises paramiko.SSHException if refused."""
        secrets = [secret] if secret else []

        def reply(title: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
            return [
                secrets.pop() if secrets and not echoed else self._ask(prompt, echoed) for prompt, echoed in prompts
            ]

        transport.auth_timeout = _PATIENCE_S
        return transport.auth_interactive(user, reply)

    def _ask(self, prompt: str, echoed: bool) -> str:
        if sys.stdin.isatty():
            try:
                return input(prompt) if echoed else getpass.getpass(prompt)
            except EOFError:
                return ""
        self.unanswered.append(prompt.strip())
        return ""
