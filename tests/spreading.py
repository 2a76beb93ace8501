"""Which files of tests does one worker take together?

Each worker that meets a file of the cluster's tests starts a control plane, which takes ten seconds of processor time until
the worker ends.  Many workers have them to spend, and are done sooner with a file each.
"""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling

CLUSTER: Final = "tests/cluster/"
SECOND_HALF: Final = f"{CLUSTER}test_fields.py"
"""By the alphabet, the first file of the later half of what they all take."""
FEW_WORKERS: Final = 4
"""As on two processors."""


def together(file: str) -> str:
    """The same for files of one worker: those of the cluster in two halves, every other file alone."""
    if not file.startswith(CLUSTER):
        return file
    return f"{CLUSTER} from {SECOND_HALF}" if file >= SECOND_HALF else f"{CLUSTER} before {SECOND_HALF}"


class InHalves(LoadFileScheduling):
    """Spreads files as ``--dist loadfile`` does, but for the cluster's."""

    def _split_scope(self, nodeid: str) -> str:
        return together(super()._split_scope(nodeid))
