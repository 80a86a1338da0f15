"""A board met for the first time, written down as a target, and looked after: its checks, repeated on demand."""

from toolkit.contact.meet import Answers, Met, meet
from toolkit.contact.target_file import require_free, target_name, target_text, write_target

__all__ = ["Answers", "Met", "meet", "require_free", "target_name", "target_text", "write_target"]
