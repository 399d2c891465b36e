"""The machine that a bundle is for. The command line's parser asks this module alone."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

PLATFORMS = ("linux-x86_64", "linux-aarch64")
_NEWEST_GLIBC = 28
"""Of 2.x: what the kernels of localsearch ask for; a wheel for an older C library runs there too."""


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that a bundle is for: one of `PLATFORMS` and a Python such as 3.12."""

    platform: str
    python: str

    @property
    def machine(self) -> str:
        return self.platform.partition("-")[2]

    def options(self) -> list[str]:
        """What tells pip to choose for that machine."""
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(_NEWEST_GLIBC, 4, -1)]
        tags += [
            f"{name}_{self.machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux")
        ]
        abis = ["cp" + self.python.replace(".", ""), "abi3", "none"]
        options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", self.python]
        return (
            options
            + [word for tag in tags for word in ("--platform", tag)]
            + [word for abi in abis for word in ("--abi", abi)]
        )

    def markers(self) -> dict[str, str]:
        """The environment that requirements are evaluated in, as PEP 508 names it."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def here() -> Target:
    """This machine and this Python."""
    return Target(f"{sys.platform}-{platform.machine()}", f"{sys.version_info[0]}.{sys.version_info[1]}")
