"""One board: its family, how it is used, and where it can be reached."""

from typing import Any

from pydantic import Field

from toolkit.errors import BadInput
from toolkit.targets.family import NAME, BoardSettings, Family
from toolkit.targets.place import Place


class Target(BoardSettings):
    """What `--target NAME` means. Settings are the family's where the board's own file does not say them anew."""

    name: str = Field(pattern=NAME)
    family: Family
    place: Place

    @property
    def place_is_default(self) -> bool:
        """Whether it is only where such boards usually answer."""
        return self.place == self.family.place


def settings_of(family: Family) -> dict[str, Any]:
    """The family's settings, by field."""
    return {field: getattr(family, field) for field in BoardSettings.model_fields}


def usual_target(family: Family, place: Place | None) -> Target:
    """A board of that family, used as all of them. Raises BadInput if there is no place to look for it."""
    if place is None:
        raise BadInput(
            "this target says what a board is, but not where yours can be reached",
            where=f"target {family.name}",
            next="Give its address: `--host [USER@]HOST`, or once and for all `deploy connect [USER@]HOST`.",
        )
    return Target(name=family.name, family=family, place=place, **settings_of(family))
