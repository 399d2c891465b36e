"""The pictures of every view in docs/images: light and dark, wide and narrow.

With LOCALSEARCH_PICTURES=FOLDER, which is made and removed again, they are taken anew of a copy of the sample in there.
"""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from serving import SAMPLE, Served, serving, settings_at

from browser.conftest import visiting
from browser.views import VIEWS, go

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
FIRST = "first run"
HEIGHTS = {1440: 900, 390: 844}
SCHEMES = ("light", "dark")
COLOURS = 128
HALF_DAY = 43_200


def picture(view: str, scheme: str, width: int) -> Path:
    return IMAGES / f"{view.lower().replace(' ', '-')}-{scheme}-{width}.png"


@contextmanager
def home_of(folder: Path, home: Path, models: Path, *, indexed: bool) -> Iterator[Served]:
    """A server over a copy of the sample, whose files changed twice a day until now."""
    from localsearch.engine import Engine

    shutil.copytree(SAMPLE, folder)
    now = time.time()
    for at, file in enumerate(sorted(one for one in folder.rglob("*") if one.is_file())):
        os.utime(file, (now - at * HALF_DAY, now - at * HALF_DAY))
    (folder / "mail" / "scan.pdf").write_bytes(b"%PDF-1.7\n")
    try:
        settings = replace(settings_at(home), models=models)
        with Engine.open(settings=settings) as engine:
            if indexed:
                engine.index(folder)  # before it is served: vectors too
            with serving(engine, settings) as served:
                yield served
    finally:
        shutil.rmtree(folder)


@pytest.mark.pictures
def test_take_the_pictures(browser: Browser, tmp_path: Path, model_folder: Path) -> None:
    IMAGES.mkdir(exist_ok=True)
    folder = Path(os.environ["LOCALSEARCH_PICTURES"])
    for indexed in (True, False):
        with home_of(folder, tmp_path / f"home-{indexed}", model_folder, indexed=indexed) as served:
            for scheme in SCHEMES:
                for width, height in HEIGHTS.items():
                    options = {"color_scheme": scheme, "viewport": {"width": width, "height": height}}
                    with visiting(browser, served, **options) as visit:
                        for view in VIEWS if indexed else (FIRST,):
                            go(visit.page, "start" if view == FIRST else view)
                            visit.page.wait_for_timeout(900)
                            taken = Image.open(io.BytesIO(visit.page.screenshot()))
                            taken.convert("RGB").quantize(COLOURS).save(
                                picture(view, scheme, width), optimize=True
                            )


@pytest.mark.parametrize("view", [*VIEWS, FIRST])
def test_every_view_has_its_pictures(view: str) -> None:
    page = (IMAGES.parent / "PAGE.md").read_text("utf-8")
    for scheme in SCHEMES:
        for width in HEIGHTS:
            file = picture(view, scheme, width)
            assert Image.open(file).width == width
            assert f"images/{file.name}" in page
