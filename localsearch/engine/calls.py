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
        order, declared = _declared(method)
        for name, value in (*zip(order, args, strict=False), *kwargs.items()):
            if name in declared:
                hold(name, value, *declared[name])
        return method(self, *args, **kwargs)

    return call


Test = Callable[[Any], bool]


@lru_cache(maxsize=256)
def _declared(method: Callable[..., Any]) -> tuple[tuple[str, ...], Mapping[str, tuple[Test, str]]]:
    """The arguments in their order, and for each by name how it is tested and how it is written."""
    _, *rest = inspect.signature(method).parameters.values()
    named = {one.name: one.annotation for one in rest if one.kind is not one.VAR_KEYWORD}
    written = type("Written", (), {"__annotations__": named})
    hints = get_type_hints(written, vars(sys.modules[method.__module__]))
    return tuple(named), {name: (_test(hint), str(named[name])) for name, hint in hints.items()}


def hold(name: str, value: Any, test: Test, written: str) -> None:
    """Raise UsageError for a value that fails its test; of a dataclass, for the first field that does."""
    if not test(value):
        shown = repr(value)
        raise UsageError(
            f"{name} is {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}.", hint=f"It is {written}."
        )
    if is_dataclass(value) and not isinstance(value, type):
        for field, (test_, written_) in _fields_of(type(value)).items():
            hold(field, getattr(value, field), test_, written_)


@lru_cache(maxsize=64)
def _fields_of(shape: Any) -> Mapping[str, tuple[Test, str]]:
    hints = get_type_hints(shape)
    return {field.name: (_test(hints[field.name]), str(field.type)) for field in fields(shape)}


def _test(kind: Any) -> Test:
    """Whether a value is of a kind. Elements are looked at where they are text, numbers or paths."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: True
    if origin in (Union, UnionType):
        tests = tuple(map(_test, inner))
        return lambda value: any(test(value) for test in tests)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in inner
    if kind in (int, float):
        numbers = (int,) if kind is int else (int, float)
        return lambda value: isinstance(value, numbers) and not isinstance(value, bool)
    if origin is tuple and inner[-1] is not Ellipsis:
        places = tuple(map(_test, inner))
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(places)
            and all(test(one) for test, one in zip(places, value, strict=True))
        )
    if origin in (tuple, Sequence, Iterable):
        return _row(origin, inner[0])
    shape = origin or kind
    return lambda value: isinstance(value, shape)


def _row(shape: type, element: Any) -> Test:
    """Whether a value is a row of elements; text is not one of letters, and what can be read once is not read here."""
    test = None if is_dataclass(element) else _test(element)

    def is_row(value: Any) -> bool:
        if not isinstance(value, shape) or isinstance(value, str | bytes | os.PathLike):
            return False
        return test is None or not isinstance(value, Sequence) or all(map(test, value))

    return is_row
