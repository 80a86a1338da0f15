"""Shell that gives what a board serves a number, and lets go of the oldest: see `generations`."""

from edge_runtime.generations import FOLDER, KEPT
from toolkit.devices.home import Home
from toolkit.devices.releases.inventory import adapted_file
from toolkit.devices.releases.plain import plain_folder

# For each file of a generation: its `number`.
_EACH = """for each in {folder}/*-*.safetensors; do
  number=${{each##*/}} number=${{number%%-*}}
  case $number in ''|*[!0-9]*) continue;; esac
"""


def numbered(home: Home, digest: str) -> str:
    """What the board serves has a number afterwards; a full disk leaves it without, and as it is."""
    now, folder = _places(home, digest)
    aside = home.within(home.at("work", f"{digest}.numbered"))
    return f"""if [ -f {now} ]; then
state=$(sha256sum <{now} | cut -c1-16) last=0 known=
{_EACH.format(folder=folder)}  [ "$number" -le $last ] || last=$number
  case $each in *-"$state".safetensors) known=yes;; esac
done
if [ -z "$known" ]; then
  new={folder}/$((last + 1))-$state.safetensors
  mkdir -p {folder} && {{
    ln {now} "$new" 2>/dev/null || {{ cp {now} {aside} && sync && mv -f {aside} "$new"; }}
  }} || :
fi
fi
"""


def pruned(home: Home, digest: str, before: str) -> str:
    """The newest few are left, and what is served or, by the file `before`, was before that."""
    now, folder = _places(home, digest)
    return f"""state=- was=- last=0
[ ! -f {now} ] || state=$(sha256sum <{now} | cut -c1-16)
[ ! -f {before} ] || was=$(sha256sum <{before} | cut -c1-16)
{_EACH.format(folder=folder)}  [ "$number" -le $last ] || last=$number
done
{_EACH.format(folder=folder)}  case $each in *-"$state".safetensors|*-"$was".safetensors) continue;; esac
  [ "$number" -gt $((last - {KEPT})) ] || rm -f "$each"
done
"""


def _places(home: Home, digest: str) -> tuple[str, str]:
    """What is served, and where generations lie."""
    return home.within(adapted_file(home, digest)), home.within(f"{plain_folder(home, digest)}/{FOLDER}")
