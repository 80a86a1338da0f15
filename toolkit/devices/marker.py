"""The file that makes a folder on a board ours, and the shell that looks for it.

Whatever removes, moves or overwrites begins with `enter`: it stands in our folder and has read the marker there before
it does anything, in the same command, and names what it touches from there.
"""

import shlex

from toolkit.board_paths import board_folder

MARKER = "edge-deploy-folder"
FOLDERS = ("agent", "runner", "packages", "incoming", "releases", "adapted", "work")
REFUSED = 79
_LINE = "edge-deploy folder 1"
_TEXT = "All that lies here is made, replaced and deleted by edge-deploy: keep nothing of your own in this folder."
# What else the layout before the marker had: its links, its lock, and what a cut may have left of them.
_NAMES = "current previous lock lock.* lease lease.* trusted .trusted.*.part"

_MARKED = f"""read_marker() {{ line=; {{ IFS= read -r line <{MARKER}; }} 2>/dev/null; }}
"""

_LOOK = f"""{_MARKED}
look() {{
  if [ ! -e "$root" ] && [ ! -L "$root" ]; then state=absent; return; fi
  cd -- "$root" 2>/dev/null && root=$(pwd) && [ -r . ] || {{ state=closed; return; }}
  read_marker
  case $line in
    '{_LINE}')
      state=ours
      for f in {" ".join(FOLDERS)}; do [ -d "$f" ] || state=unfinished; done
      return;;
    'edge-deploy folder '*) state=newer; return;;
  esac
  # Only what a power cut may have left of our own: its name may be somebody's, for a file, a folder or a link.
  if [ -e {MARKER} ] || [ -L {MARKER} ]; then
    [ -f {MARKER} ] && [ ! -L {MARKER} ] && [ -r {MARKER} ] || {{ state=foreign; return; }}
    case '{_LINE}' in "$line"*) ;; *) state=foreign; return;; esac
  fi
  state=empty
  for f in * .[!.]* ..?*; do
    [ -e "$f" ] || [ -L "$f" ] || continue
    case $f in
      {MARKER}|{MARKER}.*) ;;
      {"|".join((*FOLDERS, *_NAMES.split()))}) state=earlier;;
      *) state=foreign; return;;
    esac
  done
  [ $state = earlier ] || return
  for f in {" ".join(FOLDERS)}; do [ -d "$f" ] && [ ! -L "$f" ] || {{ state=foreign; return; }}; done
  for f in releases/* releases/.[!.]*; do
    [ -e "$f" ] || [ -L "$f" ] || continue
    case ${{f#releases/}} in *[!0-9a-f]*) state=foreign; return;; esac
    [ ${{#f}} = 73 ] || {{ state=foreign; return; }}
  done
}}
cd "${{HOME:-.}}" 2>/dev/null
home=$(pwd)
[ "$home" != / ] || home=
"""

_SAY = 'uname -m; echo $state; printf "%s\\n" "$root"'


def look_script(root: str) -> str:
    """Prints the machine, the folder's state and its path in full; makes nothing.

    The state is `absent`, `closed`, `ours`, `unfinished`, `newer`, `empty`, `earlier` (the layout before the marker) or
    `foreign`.
    """
    return f"{_LOOK}root={_expanded(root)}\nlook\n{_SAY}"


def make_script(root: str) -> str:
    """The same, where the folder may be ours; it is, and is whole, when this succeeds."""
    write = f"printf '%s\\n' '{_LINE}' '{_TEXT}' >{MARKER}.$$ && mv -f {MARKER}.$$ {MARKER}"
    return f"""{_LOOK}root={_expanded(root)}
look
case $state in
  absent) mkdir -p -- "$root" && cd -- "$root" && root=$(pwd) || exit 1;;
  ours|unfinished|empty|earlier) ;;
  *) exit {REFUSED};;
esac
read_marker
[ "$line" = '{_LINE}' ] || {{ {write} && sync; }} || {{ rm -f {MARKER}.$$; exit 1; }}
mkdir -p {" ".join(FOLDERS)} || exit 1
state=ours
{_SAY}"""


def enter(root: str) -> str:
    """Stand in the folder, or end with `REFUSED`: it must carry the marker, and none of ours in it may be a link."""
    links = " && ".join(f"[ ! -L {name} ]" for name in FOLDERS)
    return (
        f"{_MARKED}cd -- {shlex.quote(root)} && read_marker && [ \"$line\" = '{_LINE}' ] && {links} || exit {REFUSED}\n"
    )


def _expanded(root: str) -> str:
    """For the board's shell, `~` being `home`."""
    path = board_folder(root)
    return f'"$home"{shlex.quote(path[1:])}' if path.startswith("~") else shlex.quote(path)
