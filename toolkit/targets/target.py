"""One board: its family, how it is used, and where it can be reached."""

from typing import Any

from pydantic import Field

from toolkit.errors import BadInput
from toolkit.targets.family import NAME, Family, Settings
from toolkit.targets.place import Place


class Target(Settings):
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
    return {field: getattr(family, field) for field in Settings.model_fields}


def usual_target(family: Family) -> Target:
    """The board of that family that answers where such boards usually do. Raises BadInput if there is no such place."""
    if family.place is None:
        raise BadInput(
            "says what a board is, but not where yours can be reached",
            where=f"target {family.name}",
            next=f'Write targets/NAME.toml with family = "{family.name}" and a [place].',
        )
    return Target(name=family.name, family=family, place=family.place, **settings_of(family))
