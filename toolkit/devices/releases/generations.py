"""Every state that a board learned on top of a release and took, by number: the newest few, to go back to.

`adapted/DIGEST/generations/NUMBER-STATE.safetensors`, where STATE begins the SHA-256 of the file: no more bytes on the
disk while it is served. Applications number theirs likewise (`edge_runtime/generations.py`).
"""

from edge_runtime.generations import FILE, FOLDER, Generation
from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.devices.releases.inventory import adapted_file
from toolkit.devices.releases.learned import kept_before
from toolkit.devices.releases.plain import plain_folder
from toolkit.errors import BadInput, BoardError

_INSTALLED, _READING = "installed", "reading what was learned"


def read_generations(home: Home, digest: str) -> list[Generation]:
    """The release as installed, then what was learned, the oldest first. Raises BoardError."""
    now, folder = home.within(adapted_file(home, digest)), home.within(_folder(home, digest))
    script = f"""if [ -f {now} ]; then echo "served $(sha256sum <{now} | cut -c1-16)"; fi
for each in {folder}/*.safetensors; do
  size=$(wc -c <"$each") && learned=$(date -r "$each" +%s) && echo "$(basename "$each") $size $learned"
done 2>/dev/null
:"""
    found, served = [], _INSTALLED
    for words in map(str.split, check(home.ask(script), _READING, home.where).stdout.decode().splitlines()):
        if words[:1] == ["served"]:
            served = words[-1]
        elif len(words) == 3 and (match := FILE.fullmatch(words[0])):
            found.append(Generation(int(match[1]), match[2], int(words[1]), int(words[2]), match[2] == served))
    found.append(Generation(0, _INSTALLED, 0, None, served == _INSTALLED))
    return sorted(found, key=lambda each: each.number)


def require_generation(home: Home, digest: str, number: int) -> Generation:
    """Raises BadInput where the board has none of that number."""
    there = {each.number: each for each in read_generations(home, digest)}
    if number not in there:
        raise BadInput(
            f"has no generation {number} on top of release {digest[:12]}: it has {', '.join(map(str, there))}",
            where=home.where,
            next=f"`deploy adapt --target {home.where} --list` shows them.",
        )
    return there[number]


def serve_generation(home: Home, digest: str, number: int) -> None:
    """Serve that state again, 0: as it was installed; `learned.undo` goes back.

    Raises BadInput where the board has none of that number, BoardError where it is damaged.
    """
    wanted = require_generation(home, digest, number)
    now, aside = (home.within(each) for each in (adapted_file(home, digest), home.at("work", f"{digest}.generation")))
    if number:
        path = home.within(home.at("adapted", digest, FOLDER, f"{number}-{wanted.state}.safetensors"))
        is_whole = f'[ "$(sha256sum <{path} | cut -c1-16)" = {wanted.state} ] || {{ echo damaged; exit 0; }}'
        steps = f"{is_whole}\ncp {path} {aside} && sync && mv -f {aside} {now} && sync"
    else:
        steps = f"rm -f {now} && sync"
    with kept_before(home, digest):
        said = check(home.run(f"{home.guard} || exit 1\n{steps}"), "going back to what was learned", home.where)
    if said.stdout.strip():
        raise BoardError(
            f"generation {number} on top of release {digest[:12]} is damaged",
            where=home.where,
            next="It serves what it served; go to another one.",
        )


def _folder(home: Home, digest: str) -> str:
    return f"{plain_folder(home, digest)}/{FOLDER}"
