"""From whatever a console shows to a shell: a login prompt, a prompt, a half-typed line, boot messages, or nothing."""

import re
import secrets
import time
from dataclasses import dataclass

from toolkit.devices.serial.frames import request
from toolkit.devices.serial.line import Line
from toolkit.errors import BoardError

QUIT = 9
LARGEST_PAYLOAD = 33_000  # more than any payload that a dropped connection may have left unfinished
PATIENCE_S = 20.0  # with a line on which no prompt appears
_LONGEST_S = 120.0  # for a board that boots
_QUIET_S = 0.5
_LOGIN = re.compile(r"(login|username)\s*:\s*$", re.IGNORECASE)
_PASSWORD = re.compile(r"(password|passphrase)[^\n]*:\s*$", re.IGNORECASE)
_REFUSED = re.compile(r"login incorrect|authentication fail|permission denied|login failed", re.IGNORECASE)
_BOOT_LOADER = re.compile(r"(^|\n)(=>|U-Boot>|grub>|barebox[^\n]*[#>]) *$")
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78])")
_QUIT_LINE = b"\n" + request(1, QUIT)
_NUDGES = (
    b"\x15\n",  # erases a half-typed line first
    b"\x03\n",  # ends a program, or a quotation that was never closed
    b"\x11" + _QUIT_LINE,  # ends what an earlier run left when its connection dropped; ^Q undoes a stray ^S
    b"\n" * LARGEST_PAYLOAD + _QUIT_LINE,  # the same, if it still waits for the rest of a payload
    b"\x03\x15\n",
)


@dataclass(frozen=True)
class Credentials:
    """Who logs in, if the console asks."""

    user: str | None
    password: str | None


def find_shell(line: Line, credentials: Credentials, where: str) -> bool:
    """Get to a shell's prompt; True if that took a login. Raises BoardError that says what the line showed."""
    mark = secrets.token_hex(4)
    ask = f" printf '%s-%s\\n' ready {mark}\n".encode()  # its echo does not contain what it prints
    started = time.monotonic()
    deadline, nudges, seen, sent_user, sent_password = started + PATIENCE_S, list(_NUDGES), "", False, False
    while (now := time.monotonic()) < deadline:
        shown = _printable(line.read_until_quiet(_QUIET_S, 10.0))
        if time.monotonic() - now > 4 * _QUIET_S:  # a board that boots talks on and on
            deadline = min(started + _LONGEST_S, time.monotonic() + PATIENCE_S)
        seen = (seen + shown)[-4000:]
        last = seen.rstrip(" ")
        if _BOOT_LOADER.search(last):
            raise BoardError("the console is in the boot loader", where=where, next="Boot the board, then run again.")
        if sent_password and (_REFUSED.search(seen) or _LOGIN.search(last)):
            raise _refused(credentials, where)
        if _PASSWORD.search(last):
            seen, sent_password = "", sent_user  # a question that someone else left open gets an empty answer
            line.write(_password(credentials, where) + b"\n" if sent_user else b"\n")
        elif _LOGIN.search(last):
            seen, sent_user = "", True
            line.write(_user(credentials, where) + b"\n")
        elif sent_password and not shown.strip():
            continue  # a slow board takes seconds to check a password
        elif shown.strip():
            line.write(ask)
            answer = _wait_for(line, f"ready-{mark}", 3.0)
            if f"ready-{mark}" in answer:
                line.read_until_quiet(_QUIET_S / 2, 2.0)
                return sent_user
            seen = (seen + answer)[-4000:]
            if not (_LOGIN.search(seen.rstrip(" ")) or _PASSWORD.search(seen.rstrip(" "))):
                line.write(nudges.pop(0) if nudges else b"\n")
        else:
            line.write(nudges.pop(0) if nudges else b"\n")
    raise _no_prompt(seen, where)


def _wait_for(line: Line, text: str, timeout_s: float) -> str:
    said, end = b"", time.monotonic() + timeout_s
    while time.monotonic() < end and text not in _printable(said):
        said += line.read(max(0.0, end - time.monotonic()))
    return _printable(said)


def _user(credentials: Credentials, where: str) -> bytes:
    if credentials.user is None:
        raise BoardError(
            "the console asks who logs in",
            where=where,
            next="Set `user` under [place] in the target's file, or give --user to `deploy connect`.",
        )
    return credentials.user.encode()


def _password(credentials: Credentials, where: str) -> bytes:
    if credentials.password is None:
        raise BoardError(
            f"the console asks for the password of '{credentials.user}'",
            where=where,
            next="Write it into a file of your own and name that as `password_file` under [place], "
            "or give `deploy connect` the option --password-file.",
        )
    return credentials.password.encode()


def _refused(credentials: Credentials, where: str) -> BoardError:
    return BoardError(
        f"the board refuses user '{credentials.user}' with this password",
        where=where,
        next="Check `user` and the first line of `password_file` under [place] in the target's file.",
    )


def _no_prompt(seen: str, where: str) -> BoardError:
    lines = [text.strip() for text in seen.splitlines() if text.strip()]
    if not lines:
        return BoardError(
            "nothing answers on the line",
            where=where,
            next="Check that the board is on, cable and `baud`, and that no other program holds the console.",
        )
    if seen.count("\ufffd") * 5 > len(seen):
        return BoardError("what comes is no text", where=where, next="Check `baud` in the target's file.")
    return BoardError(
        f"found no prompt: a program owns the console, or the board still boots; last seen: {lines[-1][-100:]!r}",
        where=where,
        next="Leave the program (or wait for the boot to end), then run again.",
    )


def _printable(data: bytes) -> str:
    """As text, without the terminal's escape sequences and carriage returns."""
    return _ESCAPES.sub("", data.decode("ascii", "replace")).replace("\r", "").replace("\0", "")
