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


def read_generations(home: Home, digest: str) -> list[Generation]:
    """The release as installed, then what was learned, the oldest first. Raises BoardError."""
    now, folder = home.within(adapted_file(home, digest)), home.within(_folder(home, digest))
    script = f"""if [ -f {now} ]; then sha256sum <{now} | cut -c1-16; else echo installed; fi
for each in {folder}/*.safetensors; do
  if [ -f "$each" ]; then echo "$(basename "$each") $(($(wc -c <"$each"))) $(date -r "$each" +%s)"; fi
done"""
    served, *lines = check(home.ask(script), "reading what was learned", home.where).stdout.decode().splitlines()
    found = [Generation(0, "installed", 0, None, served == "installed")]
    for name, size, learned_s in (line.split() for line in lines if line.count(" ") == 2):
        if match := FILE.fullmatch(name):
            found.append(Generation(int(match[1]), match[2], int(size), int(learned_s), match[2] == served))
    return sorted(found, key=lambda each: each.number)


def serve_generation(home: Home, digest: str, number: int) -> None:
    """Serve that state again, 0: as it was installed; `learned.undo` goes back.

    Raises BadInput where the board has none of that number, BoardError where it is damaged.
    """
    there = {each.number: each for each in read_generations(home, digest)}
    if number not in there:
        numbers = ", ".join(map(str, there))
        raise BadInput(
            f"has no generation {number} on top of release {digest[:12]}: it has {numbers}",
            where=home.where,
            next=f"`deploy adapt --target {home.where} --list` shows them.",
        )
    now, aside = (home.within(each) for each in (adapted_file(home, digest), home.at("work", f"{digest}.generation")))
    if number:
        path = home.within(home.at("adapted", digest, FOLDER, f"{number}-{there[number].state}.safetensors"))
        is_whole = f'[ "$(sha256sum <{path} | cut -c1-16)" = {there[number].state} ] || {{ echo damaged; exit 0; }}'
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
