"""A person at a terminal who connects to a board and answers what is asked."""

import os
import pty
import select
import sys
import time
from collections.abc import Mapping

from toolkit.targets import Target

_CONNECTS = """import sys
from toolkit.devices.ssh import SshDevice
from toolkit.errors import BoardError
from toolkit.targets import Target
target = Target.model_validate_json(sys.argv[1])
try:
    device = SshDevice(target)
    print("in:", device.run("echo there").stdout)
    device.close()
    print("again:", device.run("echo there").stdout)
except BoardError as error:
    print("refused:", error)
"""


def on_a_terminal(target: Target, answers: Mapping[str, str]) -> str:
    """What is seen by a person who connects twice; each question that holds a key of `answers` gets its value."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", _CONNECTS, target.model_dump_json()])
    seen, answered = b"", dict.fromkeys(answers, 0)
    while select.select([terminal], [], [], 300)[0]:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # the terminal's other end is closed
            break
        seen += chunk
        for question, answer in answers.items():
            if seen.count(question.encode()) > answered[question]:
                answered[question] += 1
                time.sleep(0.2)  # getpass throws away what was typed before it listens
                os.write(terminal, answer.encode() + b"\n")
    os.close(terminal)  # hangs up, which ends a program that still waits
    os.waitpid(pid, 0)
    return seen.decode()
