"""No library that we load tells its makers what it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ENCODE = """
from pathlib import Path
from localsearch.models import ModelStore
from localsearch.settings import Settings
encoder = ModelStore(Settings(home=Path("home"), models=Path({models!r}))).encoder()
print(encoder.encode_query("kiln").shape[-1])
"""


def test_onnx_runtime_makes_no_identifier_and_no_store_of_events(model_folder: Path, tmp_path: Path) -> None:
    quiet = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"}
    environment = {key: value for key, value in os.environ.items() if key not in quiet}
    done = subprocess.run(
        [sys.executable, "-c", ENCODE.format(models=str(model_folder))],
        capture_output=True,
        text=True,
        env=environment | {"HOME": str(tmp_path)},
    )
    assert done.stdout == "384\n", done.stderr
    assert list(tmp_path.rglob("*")) == []
