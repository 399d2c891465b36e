"""What is in a bundle and under which licences: a list for people, with the texts, and an SBOM in CycloneDX 1.6."""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from localsearch.bundle.wheels import OWN, Wheel

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from packaging.metadata import Metadata

    from localsearch.models import Card

UNKNOWN = "not declared"
_TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")


def licence(metadata: Metadata) -> str:
    """The declared licence: the expression (PEP 639), else the field, else what the classifiers say."""
    if metadata.license_expression:
        return str(metadata.license_expression)
    declared = (metadata.license or "").strip()
    if declared and "\n" not in declared and len(declared) < 100:
        return declared
    names = [one.rpartition(" :: ")[2] for one in metadata.classifiers or () if one.startswith("License ::")]
    return " and ".join(name for name in names if name != "OSI Approved") or UNKNOWN


def licences(wheels: Sequence[Wheel], cards: Sequence[Card]) -> str:
    """A table of packages and models, and below it the text of every licence that a package carries."""
    rows = [
        f"| {wheel.name} | {wheel.metadata.version} | {_cell(licence(wheel.metadata))} |" for wheel in wheels
    ]
    rows += [f"| {card.name} (model) |  | {_cell(card.licence or UNKNOWN)} |" for card in cards]
    parts = ["# Licences", "", "| package | version | licence |", "|---|---|---|", *rows]
    for wheel in wheels:
        for name, text in _texts(wheel.file):
            parts += ["", f"## {wheel.name}: {name}", "", *(f"    {line}" for line in text.splitlines())]
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _texts(wheel: Path) -> Iterator[tuple[str, str]]:
    """Name and text of the licence files in a wheel's .dist-info folder."""
    with zipfile.ZipFile(wheel) as archive:
        for path in sorted(archive.namelist()):
            folder, _, name = path.partition(".dist-info/")
            named = name.rpartition("/")[2].upper().startswith(_TEXTS)
            if (
                "/" not in folder
                and name
                and not path.endswith("/")
                and (named or name.startswith("licenses/"))
            ):
                yield name, archive.read(path).decode("utf-8", "replace")


def sbom(wheels: Sequence[Wheel], cards: Sequence[Card], created: int) -> str:
    """Packages and models with versions, hashes, licences and what needs what, as CycloneDX JSON.

    The same content gives the same text: its serial number is made of the hashes.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    parts = {wheel.name: _package(wheel) for wheel in wheels}
    models = [_model(card) for card in cards]
    digests = [*(wheel.sha256 for wheel in wheels), *(model.bom_ref.value or "" for model in models)]
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, "\n".join(digests)))
    bom.metadata.timestamp = datetime.fromtimestamp(created, UTC)
    bom.metadata.component = parts[OWN]
    for name, part in parts.items():
        if name != OWN:
            bom.components.add(part)
    bom.components.update(models)
    for wheel in wheels:
        needs = [parts[name] for name in wheel.needs]
        bom.register_dependency(parts[wheel.name], [*needs, *models] if wheel.name == OWN else needs)
    return str(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)) + "\n"


def _package(wheel: Wheel) -> Component:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    version, declared = str(wheel.metadata.version), licence(wheel.metadata)
    url = PackageURL("pypi", None, wheel.name, version)
    return Component(
        name=wheel.name,
        version=version,
        type=ComponentType.APPLICATION if wheel.name == OWN else ComponentType.LIBRARY,
        bom_ref=url.to_string(),
        purl=url,
        licenses=[] if declared == UNKNOWN else [LicenseFactory().make_from_string(declared)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
    )


def _model(card: Card) -> Component:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    weights = max(card.files.items(), key=lambda item: item[1].bytes, default=None)
    return Component(
        name=card.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{card.name}",
        licenses=[LicenseFactory().make_from_string(card.licence)] if card.licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=weights[1].sha256)] if weights else [],
    )
