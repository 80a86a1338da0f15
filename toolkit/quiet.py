"""Exporters warn, print and log much that no user can do anything about: it goes to a logger of ours instead."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

# Says all at DEBUG, which nobody hears who does not ask for it.
SAID = logging.getLogger("toolkit.quiet")
_LOGGERS = ("", "torch", "torch.onnx", "onnxscript", "executorch", "torchao", "transformers")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, what this process prints, warns or logs is told to `SAID` at the end; errors still raise."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    handlers = [logger.handlers for logger in loggers]
    try:
        with (
            warnings.catch_warnings(record=True) as warned,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            warnings.simplefilter("default")
            for logger in loggers:
                logger.handlers = [] if logger.name != "root" else [handler]
            yield
    finally:
        for logger, own in zip(loggers, handlers, strict=True):
            logger.handlers = own
        for each in warned:
            said.write(warnings.formatwarning(each.message, each.category, each.filename, each.lineno))
        if text := said.getvalue().strip():
            SAID.debug(text)
