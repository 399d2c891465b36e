"""What stands on a PDF's page beside its own text: values of forms, notes, comments, and files pinned to it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from localsearch.extract.decode import clean
from localsearch.extract.versions import Said

if TYPE_CHECKING:
    import pypdfium2 as pdfium

_UNSHOWN = (2, 16)
"""Links and pop-ups: the one shows nothing, the other what its note says."""
_WIDGET = 20
_BUTTON, _CHECK, _RADIO = 1, 2, 3
_PLAIN_YES = frozenset(["", "yes", "on", "off", "1", "true", "ja", "oui"])
_XFA_FORMS = (2, 3)


class Annotations(NamedTuple):
    """What the annotations of a page hold; `drawn` tells whether some of them have a look of their own."""

    texts: list[str]
    files: list[tuple[str, bytes]]
    drawn: bool


NONE = Annotations([], [], False)


def page_annotations(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> Annotations:
    """Texts and files of a page's annotations, in the order they were put there."""
    from pypdfium2 import raw

    texts, files, drawn = list[str](), list[tuple[str, bytes]](), False
    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind not in _UNSHOWN:
            drawn = True
            texts += _field(document, annotation) if kind == _WIDGET else _note(annotation)
            files += _pinned(document, annotation)
        raw.FPDFPage_CloseAnnot(annotation)
    return Annotations(texts, files, drawn) if drawn else NONE


def unsaid(texts: list[str], page: str) -> list[str]:
    """The texts that a page does not show already, each once."""
    if not texts:
        return []
    said = Said(page)
    return [text for text in dict.fromkeys(texts) if not said.repeats(text)]


def xfa_text(document: pdfium.PdfDocument) -> str:
    """What a form in XML Forms Architecture says and what was filled into it; such a form has no pages of its own."""
    from pypdfium2 import raw

    if document.get_formtype() not in _XFA_FORMS:
        return ""
    lines: list[str] = []
    for index in range(raw.FPDF_GetXFAPacketCount(document)):
        name = ctypes.create_string_buffer(64)
        raw.FPDF_GetXFAPacketName(document, index, name, len(name))
        if name.value in (b"template", b"datasets"):
            lines += _xml_texts(_packet(document, index))
    return "\n".join(dict.fromkeys(lines))


def _packet(document: pdfium.PdfDocument, index: int) -> bytes:
    from pypdfium2 import raw

    size = ctypes.c_ulong()
    raw.FPDF_GetXFAPacketContent(document, index, None, 0, size)
    buffer = ctypes.create_string_buffer(max(1, size.value))
    raw.FPDF_GetXFAPacketContent(document, index, buffer, size.value, size)
    return buffer.raw[: size.value]


def _xml_texts(content: bytes) -> Iterator[str]:
    try:
        root = ElementTree.fromstring(content.rstrip(b"\0"))
    except ElementTree.ParseError:
        return
    for element in root.iter():
        if element.tag.rpartition("}")[2] not in ("script", "picture", "image"):
            for text in (element.text, element.tail):
                if text and (line := clean(" ".join(text.split()))):
                    yield line


def _note(annotation: Any) -> Iterator[str]:
    """A note's text with its author and subject."""
    content = _value(annotation, "Contents") or _without_markup(_value(annotation, "RC"))
    content = content or _value(annotation, "OverlayText")
    subject, author = _value(annotation, "Subj"), _value(annotation, "T")
    if content.strip():
        yield f"{author}: {content}" if author else content
        if subject:
            yield subject


def _field(document: pdfium.PdfDocument, annotation: Any) -> Iterator[str]:
    """The value of a form's field with the label that is shown when it is pointed at."""
    from pypdfium2 import raw

    form = document.formenv
    if form is None:
        value, kind, label = _value(annotation, "V"), 0, _value(annotation, "TU")
    else:
        kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
        value = _wide(lambda *out: raw.FPDFAnnot_GetFormFieldValue(form, annotation, *out))
        label = _wide(lambda *out: raw.FPDFAnnot_GetFormFieldAlternateName(form, annotation, *out))
        if kind in (_CHECK, _RADIO):
            value = _choice(form, annotation, label)
    if kind != _BUTTON and value.strip():
        yield f"{label}: {value}" if label and label != value else value


def _choice(form: Any, annotation: Any, label: str) -> str:
    """What a ticked box stands for; nothing where it is not ticked."""
    from pypdfium2 import raw

    if not raw.FPDFAnnot_IsChecked(form, annotation):
        return ""
    name = _wide(lambda *out: raw.FPDFAnnot_GetFormFieldExportValue(form, annotation, *out))
    return label if name.lower() in _PLAIN_YES else name


def _pinned(document: pdfium.PdfDocument, annotation: Any) -> Iterator[tuple[str, bytes]]:
    import pypdfium2 as pdfium
    from pypdfium2 import raw

    attachment = raw.FPDFAnnot_GetFileAttachment(annotation)
    if attachment:
        yield from attached_file(pdfium.PdfAttachment(attachment, document))


def attached_file(attachment: Any) -> Iterator[tuple[str, bytes]]:
    """Name and content of a file in a PDF; nothing if it is not there or empty."""
    import pypdfium2 as pdfium

    try:
        data = bytes(attachment.get_data())
    except pdfium.PdfiumError:
        data = b""
    yield clean(attachment.get_name() or "attachment"), data


def _without_markup(source: str) -> str:
    if not source.lstrip().startswith("<"):
        return source
    try:
        return " ".join("".join(ElementTree.fromstring(source).itertext()).split())
    except ElementTree.ParseError:
        return ""


def _value(annotation: Any, key: str) -> str:
    from pypdfium2 import raw

    if not raw.FPDFAnnot_HasKey(annotation, key.encode()):
        return ""
    return _wide(lambda *out: raw.FPDFAnnot_GetStringValue(annotation, key.encode(), *out))


def _wide(call: Callable[..., int]) -> str:
    """Text that pdfium writes as UTF-16 into a buffer of the size it tells first."""
    from pypdfium2 import raw

    size = call(None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    call(ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return clean(buffer.raw[: size - 2].decode("utf-16-le", "replace"))
