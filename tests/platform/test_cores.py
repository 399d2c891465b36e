"""Priorities of threads."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from localsearch.platform.cores import lower_priority


def lowered_from(start: int) -> int:
    """The niceness of a thread of its own after `lower_priority`, begun at `start`."""

    def work() -> int:
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, start)
        lower_priority()
        return os.getpriority(os.PRIO_PROCESS, thread)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.mark.skipif(sys.platform != "linux", reason="a priority for each thread is Linux's")
def test_a_background_thread_gives_way_and_never_comes_forward() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert lowered_from(own) == max(own, 5)
    assert lowered_from(17) == 17
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
