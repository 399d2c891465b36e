"""Calls from programs: what is handed in is held to what the method declares, before anything is done."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache, wraps
from types import UnionType
from typing import (
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from localsearch.errors import UsageError

_SHOWN = 100
"""Characters of a wrong value that its refusal shows."""


class _Index(Protocol):
    def _check_open(self) -> None: ...


Index = TypeVar("Index", bound=_Index)
P = ParamSpec("P")
R = TypeVar("R")


def public(method: Callable[Concatenate[Index, P], R]) -> Callable[Concatenate[Index, P], R]:
    """A method that refuses what it does not declare, and any call once the index is closed.

    Raises UsageError naming the argument, StorageError for a closed index.
    """

    @wraps(method)
    def call(self: Index, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._check_open()
        signature, kinds = _declared(method)
        for name, value in signature.bind(self, *args, **kwargs).arguments.items():
            if name in kinds:
                hold(name, value, kinds[name], str(signature.parameters[name].annotation))
        return method(self, *args, **kwargs)

    return call


@lru_cache(maxsize=256)
def _declared(method: Callable[..., Any]) -> tuple[inspect.Signature, Mapping[str, Any]]:
    """How a method is called and what its arguments are; those by any name are the next callee's."""
    signature = inspect.signature(method)
    named = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    written = type("Written", (), {"__annotations__": {one.name: one.annotation for one in named[1:]}})
    return signature, get_type_hints(written, vars(sys.modules[method.__module__]))


def hold(name: str, value: Any, kind: Any, written: str) -> None:
    """Raise UsageError for a value that is not of a kind; of a dataclass, for the first field that is not."""
    if not _is(value, kind):
        shown = repr(value)
        raise UsageError(
            f"{name} is {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}.", hint=f"It is {written}."
        )
    if is_dataclass(value) and not isinstance(value, type):
        for field, (kind_, written_) in _fields_of(type(value)).items():
            hold(field, getattr(value, field), kind_, written_)


@lru_cache(maxsize=64)
def _fields_of(shape: Any) -> Mapping[str, tuple[Any, str]]:
    hints = get_type_hints(shape)
    return {field.name: (hints[field.name], str(field.type)) for field in fields(shape)}


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind. Elements are looked at where they are text, numbers or paths."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_is(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if kind in (int, float):
        return isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if origin is tuple and inner[-1] is not Ellipsis:
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_is, value, inner))
    if origin in (tuple, Sequence, Iterable):
        return _is_row(value, origin, inner[0])
    return isinstance(value, origin or kind)


def _is_row(value: Any, origin: type, element: Any) -> bool:
    """Whether a value is a row of elements; text is not one of letters, and what can be read once is not read here."""
    if not isinstance(value, origin) or isinstance(value, str | bytes | os.PathLike):
        return False
    return is_dataclass(element) or not isinstance(value, Sequence) or all(_is(one, element) for one in value)
