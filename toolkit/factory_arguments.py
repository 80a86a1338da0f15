"""Arguments of a factory, as a command line has them: `package.module:factory?width=32&depth=2`."""

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from toolkit.errors import BadInput

# What stands for itself where neither an annotation nor a default says what is wanted; text is left when none fits.
_WORDS: dict[str, object] = {"none": None, "null": None, "true": True, "false": False}
_PLAIN = (bool, int, float, str)
_UNFIT = (ValidationError, PydanticUserError, PydanticUndefinedAnnotation)


def split_arguments(spec: str) -> tuple[str, dict[str, str]]:
    """The factory's name, and its arguments as text. Raises BadInput for one without a value or given twice."""
    name, _, query = spec.partition("?")
    given: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        if not equals or not key or key in given:
            state = f"gives '{key}' twice" if key in given else f"has '{part}', which is no name=value"
            raise BadInput(state, where=spec, next=f"Write {name}?width=32&depth=2, in quotes.")
        given[key] = unquote(value)
    return name, given


def read_arguments(
    parameters: Mapping[str, inspect.Parameter], given: Mapping[str, str], reserved: Collection[str], where: str
) -> dict[str, object]:
    """The arguments, each as its annotation or else its default says; `reserved` are those that nobody may give.

    A factory with **options takes other names, too. Raises BadInput that tells all that is wrong, and what is known.
    """
    known = {name: each for name, each in parameters.items() if name not in reserved and each.kind in _BY_NAME}
    is_open = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    read: dict[str, object] = {}
    wrong: list[str] = []
    for name, text in given.items():
        if name not in known and (name in reserved or name in parameters or not is_open):
            wrong.append(f"'{name}' is none of its arguments")
            continue
        parameter = known.get(name, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY))
        try:
            read[name] = _read(parameter, text)
        except ValueError:
            wrong.append(f"{name} cannot be '{text}'")
    if wrong:
        takes = ", ".join(_described(known)) or "none"
        raise BadInput("; ".join(wrong), where=where, next=f"Its arguments: {takes}{', and others' * is_open}.")
    return read


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _read(parameter: inspect.Parameter, text: str) -> object:
    """Raises ValueError where the text does not fit."""
    kind = _kind(parameter)
    if text.lower() in ("none", "null") and _takes_none(parameter):
        return None
    if kind is Any:
        return _guessed(text)
    try:
        return TypeAdapter(kind).validate_strings(text)
    except _UNFIT as error:
        raise ValueError(text) from error


def _kind(parameter: inspect.Parameter) -> Any:
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    return type(parameter.default) if isinstance(parameter.default, _PLAIN) else Any


def _takes_none(parameter: inspect.Parameter) -> bool:
    try:
        return parameter.default is None or TypeAdapter(_kind(parameter)).validate_python(None, strict=True) is None
    except _UNFIT:
        return False


def _guessed(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _described(known: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    """As a signature has them, with what defaults tell of the kind."""
    for name, parameter in known.items():
        kind = _kind(parameter)
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        yield f"{name}{'' if kind is Any else f': {inspect.formatannotation(kind)}'}{default}"
