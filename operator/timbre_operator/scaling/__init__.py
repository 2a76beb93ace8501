"""How much is a service asked to do, how many pods does that take, and which of them is missed least?

Pure: samples of pods and the time go in, series and decisions come out.

- ``ledger``: samples of pods to the series of one service, through restarts, silence and pods that come and go.
- ``counters``, ``silence``, ``smoothing``, ``history``: its parts.
- ``proposals``: how many pods each series asks for, as the HPA computes it.
- ``causes``, ``report``: why there are this many pods, and not more or fewer.
- ``deletion_cost``: which pod goes first.
"""

from timbre_operator.scaling.deletion_cost import DeletionCosts, deletion_costs
from timbre_operator.scaling.ledger import Ledger
from timbre_operator.scaling.report import report

__all__ = ["DeletionCosts", "Ledger", "deletion_costs", "report"]
