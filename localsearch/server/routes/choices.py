"""The settings that a person may change on the page: how files are read, and the model."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from msgspec import UNSET
from msgspec.structs import asdict

from localsearch.errors import NotFoundError
from localsearch.extract.limits import Limits
from localsearch.extract.ocr import engine as recogniser
from localsearch.server.operations import Call, Operation
from localsearch.server.schemas.choices import (
    ModelChoice,
    SettingsAnswer,
    SettingsChanged,
    SettingsRequest,
)
from localsearch.server.service import Service
from localsearch.upkeep.choices import CHOICES, change

_NAMES = {
    "ocr": "extract.ocr",
    "ocr_engine": "extract.ocr_engine",
    "memory_mb": "extract.memory_mb",
    "model": "model.name",
    "languages": "model.languages",
}


def shown(service: Service, call: Call) -> SettingsAnswer:
    """What can be changed, as it is now."""
    engine = service.engine
    extract = engine.settings.extract
    there = {"rapidocr": find_spec("rapidocr"), "tesseract": shutil.which("tesseract")}
    return SettingsAnswer(
        ocr=extract.ocr,
        ocr_engine=extract.ocr_engine,
        ocr_engines=[name for name, found in there.items() if found],
        recognises_with=recogniser(Limits.of(extract)),
        memory_mb=extract.memory_mb,
        model=engine.first_model()[0],
        languages=engine.settings.model.languages,
        models=[
            ModelChoice(name=card.name, dimensions=card.dimensions, about=card.summary)
            for card in engine.encoders.cards()
        ],
        chunks=engine.corpus.counts()[1] if engine.derived.semantic else 0,
        file=str(engine.settings.home / "settings.toml"),
    )


def changed(service: Service, call: Call) -> SettingsChanged:
    """Write what is to change into settings.toml, and go on with it."""
    request: SettingsRequest = call.body
    engine = service.engine
    asked = {name: value for name, value in asdict(request).items() if value is not UNSET}
    if request.model is not UNSET and request.model not in [card.name for card in engine.encoders.cards()]:
        raise NotFoundError(
            f"The model {request.model!r} is not installed.",
            hint=f"Fetch it first: localsearch models pull {request.model}",
        )
    before, semantic = shown(service, call), engine.derived.semantic
    engine.take(change(engine.settings, {_NAMES[name]: value for name, value in asked.items()}))
    return SettingsChanged(
        settings=shown(service, call),
        at_next_start=[
            name
            for name in asked
            if CHOICES[_NAMES[name]] == "start" and asked[name] != getattr(before, name)
        ],
        needs_version=request.model is not UNSET
        and bool(before.chunks)
        and semantic is not None
        and request.model != semantic.version.model,
    )


OPERATIONS = (
    Operation(
        "GET",
        "/settings",
        "The settings that can be changed here: reading of scans, memory, model.",
        shown,
        answer=SettingsAnswer,
        scope="admin",
        tag="system",
    ),
    Operation(
        "POST",
        "/settings",
        "Change some of them for good: they are written into settings.toml, whose other lines stay.",
        changed,
        body=SettingsRequest,
        answer=SettingsChanged,
        scope="admin",
        tag="system",
    ),
)
