"""Which real program is a container, and how is it started on an address of this machine?

A pod has a network of its own and finds Services by name; here it has an address of the loopback range, and the names of
Services in its variables become the addresses of these Services.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.local_redis import BINARY as REDIS_SERVER
from tests.cluster.api import Api, ApiError, Object
from tests.cluster.pod_files import Paths

_BIN: Final = Path(sys.executable).parent
TIMBRE_OPERATOR: Final = str(_BIN / "timbre-operator")
_PROGRAMS: Final = {
    "timbre-server": str(_BIN / "timbre-server"), "timbre-operator": TIMBRE_OPERATOR, "redis-server": REDIS_SERVER,
}  # fmt: skip
"""What stands in for an image: the first word of a command, or the last part of an image's name."""
_ANYWHERE: Final = "0.0.0.0"
_SERVICE_NAME: Final = re.compile(
    r"(?<![\w.-])([a-z][-a-z0-9]*)\.([a-z0-9][-a-z0-9]*)\.svc(?:\.cluster\.local)?(?![\w.-])"
)
_VARIABLE: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
"""As ``$(POD_NAME)`` stands in commands and arguments."""
_STAND_IN_ENGINE: Final = "stub"
"""Other engines load a model for seconds, or need torch."""


@dataclass(frozen=True)
class Program:
    """What is started."""

    command: Sequence[str]
    environment: Mapping[str, str]


async def program_of(container: Object, variables: Mapping[str, str], paths: Paths, at: Place) -> Program | None:
    """None where no program stands in for the container: it runs, does nothing, and is ready."""
    given = [*(container.get("command") or ()), *(container.get("args") or ())]
    stand_in = at.images.get(container["image"])
    if stand_in is not None:
        command = list(stand_in)
    elif container.get("command"):
        command = [_PROGRAMS.get(Path(given[0]).name, given[0]), *given[1:]]
    else:
        name = container["image"].rpartition("/")[2].partition(":")[0].partition("@")[0]
        if name not in _PROGRAMS:
            return None
        command = [_PROGRAMS[name], *given]
    environment = {name: await at.resolved(paths.translated(value)) for name, value in _adapted(variables).items()}
    if command[0] == TIMBRE_OPERATOR:  # it listens everywhere unless it is told
        for part in ("ADMIN", "METRICS_API"):
            environment.setdefault(f"TIMBRE_OPERATOR_{part}_HOST", _ANYWHERE)
    environment = {name: at.address if value == _ANYWHERE else value for name, value in environment.items()}
    environment |= {"PATH": os.environ["PATH"], **at.extra}
    command = [_VARIABLE.sub(lambda found: variables.get(found[1], found[0]), word) for word in command]
    words = [await at.resolved(paths.translated(word)) for word in command]
    return Program([at.address if word == _ANYWHERE else word for word in words], environment)


@dataclass(frozen=True)
class Place:
    """Where a pod runs."""

    api: Api
    address: str
    images: Mapping[str, Sequence[str]]
    """Commands that stand in for whole images."""
    extra: Mapping[str, str]
    """Variables beyond those of the pod."""

    async def resolved(self, text: str) -> str:
        """The text with names of Services replaced by their addresses, as far as these exist."""
        for found in reversed(list(_SERVICE_NAME.finditer(text))):
            try:
                service = await self.api.fetch("v1/Service", found[2], found[1])
            except ApiError:
                continue
            if (address := service["spec"].get("clusterIP", "None")) != "None":
                text = text[: found.start()] + address + text[found.end() :]
        return text


def _adapted(variables: Mapping[str, str]) -> dict[str, str]:
    """The same with an engine that starts at once; options of another engine would stop it."""
    if variables.get("TIMBRE_ENGINE__NAME", _STAND_IN_ENGINE) == _STAND_IN_ENGINE:
        return dict(variables)
    kept = {name: value for name, value in variables.items() if name != "TIMBRE_ENGINE__OPTIONS"}
    return {**kept, "TIMBRE_ENGINE__NAME": _STAND_IN_ENGINE}


def exec_command(command: Sequence[str], paths: Paths, address: str) -> list[str]:
    """The command of an exec probe; who asks "here" asks at the pod's address."""
    words = [paths.translated(word) for word in command]
    return [words[0], "-h", address, *words[1:]] if Path(words[0]).name == "redis-cli" else words
