"""Signed releases: a board that trusts some keys activates only what one of them signed (ed25519, OpenSSH's SSHSIG).

The signature is over the manifest, which holds the digest of every file. The board checks it with its own `ssh-keygen`
(PROTOCOL.sshsig, OpenSSH 8.1 or later), so that a host that was taken over cannot skip the check by leaving it out.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.devices.device import check
from toolkit.devices.home import TRUSTED, Home, push_bytes
from toolkit.devices.releases.manifest import NAME, SIGNATURE
from toolkit.errors import BadInput, BoardError

_NAMESPACE, _SIGNER = "edge-deploy", "deployer"


def require_signing_key(key: Path) -> None:
    """Raises BadInput, before any work is done, unless releases can be signed with that private key."""
    if not key.is_file():
        raise BadInput(
            "there is no such file", where=f"release.sign={key}", next="Make a key: `ssh-keygen -t ed25519 -f KEY`."
        )
    if shutil.which("ssh-keygen") is None:
        raise BadInput(
            "signing needs ssh-keygen", where="release.sign", next="Install it: apt-get install openssh-client."
        )
    command = ["ssh-keygen", "-y", "-P", "", "-f", str(key)]
    public = subprocess.run(command, capture_output=True, text=True, check=False)
    if public.returncode != 0:
        said = (public.stderr.strip().splitlines() or ["ssh-keygen cannot read it"])[-1]
        raise BadInput(
            f"cannot sign: {said}",
            where=f"release.sign={key}",
            next="Name an ed25519 private key without a passphrase.",
        )
    if not public.stdout.startswith("ssh-ed25519 "):
        kind = public.stdout.partition(" ")[0]
        raise BadInput(f"is a key of kind {kind}", where=f"release.sign={key}", next="Name an ed25519 private key.")


@contextmanager
def signed(bundle: Path, key: Path) -> Iterator[Path]:
    """A detached signature of the bundle's manifest by an ed25519 private key. Raises BadInput if it cannot sign."""
    require_signing_key(key)
    with TemporaryDirectory() as folder:
        manifest = Path(folder, NAME)
        manifest.write_bytes((bundle / NAME).read_bytes())
        done = subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", _NAMESPACE, str(manifest)],
            capture_output=True,
            text=True,
            check=False,
        )
        signature = Path(folder, SIGNATURE)
        if done.returncode != 0 or not signature.exists():
            said = (done.stderr.strip().splitlines() or ["ssh-keygen failed"])[-1]
            raise BadInput(f"cannot sign: {said}", where=f"release.sign={key}", next="Name an ed25519 private key.")
        yield signature


def read_public_key(public_key: Path) -> str:
    """Its kind and its text, in one line. Raises BadInput unless it is an ed25519 public key."""
    if not public_key.is_file():
        raise BadInput(
            "there is no such file", where=str(public_key), next="Make a key: `ssh-keygen -t ed25519 -f KEY`."
        )
    words = public_key.read_text(encoding="utf-8", errors="replace").split()
    if len(words) < 2 or words[0] != "ssh-ed25519":
        raise BadInput("is no ed25519 public key", where=str(public_key), next="Name the .pub file beside the key.")
    return f"{words[0]} {words[1]}"


def trust(home: Home, public_key: Path) -> None:
    """From now on the board activates only releases signed with that key, or one trusted before. Raises BadInput."""
    key = read_public_key(public_key)
    old = home.ask(f"cat {TRUSTED}").stdout.decode(errors="replace")
    line = f'{_SIGNER} namespaces="{_NAMESPACE}" {key}\n'
    if line not in old:
        push_bytes(home, (old + line).encode(), home.at(TRUSTED))
    check(home.run("sync"), "keeping the trusted key", home.where)


def require_signature(home: Home, digest: str) -> None:
    """Raises BoardError unless one of the keys that the board trusts signed the release."""
    script = (
        f"command -v ssh-keygen >/dev/null || exit 127; cd releases/{digest} && test -s {SIGNATURE} || exit 66; "
        f"ssh-keygen -Y verify -f ../../{TRUSTED} -I {_SIGNER} -n {_NAMESPACE} -s {SIGNATURE} < {NAME}"
    )
    status = home.ask(script).status
    if status == 0:
        return
    reasons = {
        127: ("demands signed releases, but has no ssh-keygen to check them with", "Install openssh-client on it."),
        66: (f"demands signed releases, and {digest[:12]} is not signed", "Deploy with `--set release.sign=KEY`."),
    }
    what, next_ = reasons.get(
        status, (f"release {digest[:12]} is signed by no key that the board trusts", "Sign with a trusted key.")
    )
    raise BoardError(what, where=home.where, next=f"{next_} It still serves what it served before.")
