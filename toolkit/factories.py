"""Call what the user named as `package.module:function`, or `package.module:function?width=32`."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from toolkit.errors import BadInput, DeployError
from toolkit.factory_arguments import read_arguments, split_arguments

Product = TypeVar("Product")


def call_factory(spec: str, kind: str, product: type[Product], **offered: object) -> Product:
    """Import and call the factory with the arguments of `spec`, and those of `offered` that its signature names.

    Raises BadInput if the module or the name is missing, is no factory, takes no such arguments, raises, or makes no
    `product`.
    """
    path, given = split_arguments(spec)
    module_name, _, name = path.partition(":")
    example = f"Give the {kind} as package.module:factory, e.g. toolkit.examples.digits:{kind}."
    if not module_name or not name or module_name.startswith("."):
        raise BadInput(f"'{spec}' names no factory", next=example)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not (error.name and (module_name == error.name or module_name.startswith(error.name + "."))):
            raise BadInput(
                f"needs the module {error.name}", where=module_name, next=f"pip install {error.name}"
            ) from None
        raise BadInput(f"no module named {error.name}", where=spec, next=example) from None
    except (ImportError, SyntaxError) as error:
        raise BadInput(f"cannot be imported: {error}", where=spec, next=_MEND) from None
    except (Exception, SystemExit) as error:
        raise _raised(spec, error) from error
    factory = getattr(module, name, None)
    if isinstance(factory, product):
        raise BadInput(
            f"is a {kind}, not a function that returns one", where=spec, next=f"Name a function that returns {name}."
        )
    if not callable(factory):
        state = "has no" if factory is None else "has no callable"
        raise BadInput(f"{module_name} {state} '{name}'", where=spec, next=example)
    accepted = _parameters(factory)
    arguments = read_arguments(accepted, given, offered, spec)
    arguments |= {key: value for key, value in offered.items() if key in accepted}
    missing = [
        each.name
        for each in accepted.values()
        if each.default is each.empty and each.name not in arguments and each.kind not in _OPEN_ENDED
    ]
    if missing:
        said = "&".join(f"{each}=..." for each in [*given, *missing])
        raise BadInput(f"wants {', '.join(missing)}", where=spec, next=f"Give them: '{path}?{said}'.")
    try:
        made = factory(**arguments)
    except DeployError:
        raise
    except (Exception, SystemExit) as error:
        raise _raised(spec, error) from error
    if not isinstance(made, product):
        raise BadInput(
            f"returned {type(made).__name__}, not a {kind}", where=spec, next=f"Return a {_public(product)}."
        )
    return made


def _public(product: type) -> str:
    """The shortest name that it is imported by, as its users write it: torch.nn.Module."""
    parts = product.__module__.split(".")
    packages = (".".join(parts[:count]) for count in range(1, len(parts)))
    found = (each for each in packages if getattr(sys.modules.get(each), product.__name__, None) is product)
    return f"{next(found, product.__module__)}.{product.__name__}"


_MEND = "Mend it and run again."


def _raised(spec: str, error: BaseException) -> BadInput:
    """What the user's code raised, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    message = next(iter(str(error).splitlines()), "")
    said = f"raised {type(error).__name__}: {message} ({frame.filename}:{frame.lineno})"
    return BadInput(said, where=spec, next=_MEND)


_OPEN_ENDED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _parameters(factory: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory, eval_str=True).parameters
    except ValueError:  # some builtins have none
        return {}
    except Exception:  # an annotation in quotes names what is imported for type checkers alone
        return inspect.signature(factory).parameters
