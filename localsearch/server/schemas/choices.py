"""Requests and answers of /settings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from localsearch.server.schemas.base import RequestSchema, ResponseSchema

Ocr = Literal["auto", "on", "off"]
OcrEngine = Literal["auto", "rapidocr", "tesseract"]
Languages = Literal["any", "auto"]


class ModelChoice(ResponseSchema, frozen=True, kw_only=True):
    """An embedding model that is installed."""

    name: str
    dimensions: int
    about: str


class SettingsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """What can be changed, as it is now.

    `recognises_with` is the engine in use, "" for none. `model` is the one that answers; another
    one needs vectors of `chunks` texts, 0 where there are none yet.
    """

    ocr: Ocr
    ocr_engine: OcrEngine
    ocr_engines: list[str]
    recognises_with: str
    memory_mb: int
    model: str
    languages: Languages
    models: list[ModelChoice]
    chunks: int
    file: str


class SettingsRequest(RequestSchema, frozen=True, kw_only=True):
    """The settings that are to change; the others stay."""

    ocr: Ocr | UnsetType = UNSET
    ocr_engine: OcrEngine | UnsetType = UNSET
    memory_mb: Annotated[int, Meta(ge=256, le=65_536)] | UnsetType = UNSET
    model: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    languages: Languages | UnsetType = UNSET


class SettingsChanged(ResponseSchema, frozen=True, kw_only=True):
    """The settings as they are now; which of them count at the next start only, and whether vectors are to be made anew
    with POST /versions, and the version activated, before another model answers."""

    settings: SettingsAnswer
    at_next_start: list[str]
    needs_version: bool
