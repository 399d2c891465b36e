"""DrawingML: paragraphs in shapes, charts, SmartArt and what stands in place of a picture."""

from __future__ import annotations

from collections.abc import Iterator

from localsearch.extract.opc import RELATION_ID, Element, Package

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
CHART_EX = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_SKIPPED = frozenset([f"{A}pPr", f"{A}rPr", f"{A}endParaRPr", f"{A}bodyPr", f"{A}lstStyle"])


def paragraphs(element: Element) -> list[str]:
    """Text of each DrawingML paragraph below an element, blank ones left out."""
    return [text for found in element.iter(f"{A}p") if (text := inline(found)).strip()]


def inline(paragraph: Element) -> str:
    """Text of one paragraph; a break as a new line, a tab as a tab."""
    parts: list[str] = []
    _inline(paragraph, parts)
    return "".join(parts)


def _inline(element: Element, parts: list[str]) -> None:
    for child in element:
        tag = child.tag
        if tag == f"{A}t" or tag == f"{MATH}t":
            parts.append(child.text or "")
        elif tag == f"{A}br":
            parts.append("\n")
        elif tag == f"{A}tab":
            parts.append("\t")
        elif tag == f"{COMPATIBILITY}AlternateContent":
            _inline(alternative(child), parts)
        elif tag not in _SKIPPED:
            _inline(child, parts)


def alternative(element: Element) -> Element:
    """The branch of an AlternateContent to read: its first choice, or the fallback where there is none."""
    choice = element.find(f"{COMPATIBILITY}Choice")
    fallback = element.find(f"{COMPATIBILITY}Fallback")
    if choice is not None and (len(choice) or fallback is None):
        return choice
    return element if fallback is None else fallback


def replacements(element: Element) -> Iterator[str]:
    """Title and alternative text that an element's non-visual properties hold."""
    for name in ("title", "descr"):
        text = element.get(name, "").strip()
        if text:
            yield text


def graphics(package: Package, holder: str, element: Element) -> Iterator[str]:
    """Text of the charts and SmartArt that stand below an element of the part `holder`."""
    for found in element.iter():
        tag = found.tag
        if tag == f"{CHART}chart" or tag == f"{CHART_EX}chart":
            yield from _of_part(package, holder, found.get(f"{RELATION_ID}id"), chart_texts)
        elif tag == f"{DIAGRAM}relIds":
            yield from _of_part(package, holder, found.get(f"{RELATION_ID}dm"), diagram_texts)


def _of_part(package: Package, holder: str, id: str | None, read: object) -> Iterator[str]:
    relation = package.relations(holder).get(id or "")
    if relation is None or relation.external:
        return
    root = package.optional(relation.target)
    if root is not None:
        yield from read(root)  # type: ignore[operator]
        for shapes in package.related(relation.target, "chartUserShapes"):
            drawn = package.optional(shapes)
            yield from paragraphs(drawn) if drawn is not None else ()


def diagram_texts(root: Element) -> list[str]:
    """Paragraphs of a SmartArt diagram's points in the order they are stored; prompts are not text."""
    found: list[str] = []
    for point in root.iter(f"{DIAGRAM}pt"):
        properties = point.find(f"{DIAGRAM}prSet")
        if properties is None or properties.get("phldr") not in ("1", "true"):
            found += paragraphs(point)
    return found


def chart_texts(root: Element) -> list[str]:
    """Titles and labels of a chart, then a line for each series: its name, and each category with its value."""
    found = paragraphs(root)
    for series in root.iter(f"{CHART}ser"):
        line = _series(series)
        if line:
            found.append(line)
    found += [point.text for point in root.iter(f"{CHART_EX}pt") if point.text]
    titles = [text for title in root.iter(f"{CHART}title") for text in _values(title)]
    return titles + found


def _series(series: Element) -> str:
    name = " ".join(_values_below(series, "tx"))
    labels = _points(series, ("cat", "xVal"))
    values = _points(series, ("val", "yVal", "bubbleSize"))
    cells = [
        " ".join(part for part in (labels.get(index, ""), values.get(index, "")) if part)
        for index in sorted(labels.keys() | values.keys())
    ]
    body = ", ".join(cells)
    return f"{name}: {body}" if name and body else name or body


def _points(series: Element, names: tuple[str, ...]) -> dict[int, str]:
    points: dict[int, list[str]] = {}
    for name in names:
        for holder in series.findall(f"{CHART}{name}"):
            for point in holder.iter(f"{CHART}pt"):
                value = point.findtext(f"{CHART}v") or ""
                points.setdefault(int(point.get("idx", "0")), []).append(value)
    return {index: " ".join(texts) for index, texts in points.items()}


def _values_below(element: Element, name: str) -> list[str]:
    return [text for holder in element.findall(f"{CHART}{name}") for text in _values(holder)]


def _values(element: Element) -> list[str]:
    return [found.text for found in element.iter(f"{CHART}v") if found.text]
