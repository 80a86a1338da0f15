"""Ask a board what it is."""

from toolkit.devices.device import Device
from toolkit.devices.survey.parse import parse_survey
from toolkit.devices.survey.script import survey_script
from toolkit.devices.survey.survey import Survey
from toolkit.errors import BoardError


def ask_survey(device: Device, root: str, python: str, where: str) -> Survey:
    """What the board is. `root` need not be there yet; nothing is written. Raises BoardError if it is no Unix."""
    answer = device.run(survey_script(root, python), timeout_s=120)
    found = parse_survey(answer.stdout.decode(errors="replace"))
    if found is None:
        said = (answer.stdout + answer.stderr).decode(errors="replace").strip().splitlines()
        raise BoardError(
            "its shell does not answer as a Unix would" + (f"; it says: {said[0][:120]}" if said else ""),
            where=where,
            next="The board must run Linux or Android, and log in to a shell such as sh, bash or busybox.",
        )
    return found
