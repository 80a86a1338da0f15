"""Why a board's file system refuses, in words that tell what helps."""

_REASONS = (
    (
        "no space left",
        "its disk is full, or out of inodes",
        "See which on the board: `df -h` and `df -i`. Make room there, then run again.",
    ),
    ("quota exceeded", "the user's disk quota is used up", "Make room on the board, then run again."),
    ("read-only file system", "its file system is read-only", "Remount it writable, or set `root` elsewhere."),
    (
        "another deployer took the lock",
        "its lock was taken away (`deploy unlock`), and another deployment may be at work on it",
        "Run the same command again; the board serves a whole release meanwhile.",
    ),
    (
        "permission denied",
        "its user may not write there",
        "Set `root` in the target to a folder that the user may make, e.g. ~/.edge-deploy, or make it once as root and "
        "give it to the user: `sudo install -d -o USER FOLDER`.",
    ),
)


def reason(stderr: bytes) -> tuple[str, str] | None:
    """What is wrong, and what to do next, if the words of a failed command name a reason of that kind."""
    said = stderr.decode(errors="replace").lower()
    return next(((what, next_) for words, what, next_ in _REASONS if words in said), None)
