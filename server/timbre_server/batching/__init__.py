"""The queue before the engine: which jobs run together, in which order, and who may still come in?

The engine pulls: whenever it is free it gets the next batch, at once, and the batch after it forms while it
works.  No window is waited for unless the settings ask for one.

- ``admission``: who may come in, paid in predicted seconds.  ``costs``: what those seconds are worth here.
- ``rows``: a request is a row of sentence jobs; it opens them step by step and is read in order.
- ``policy``: the pure decision which jobs form the next batch.
- ``isolation``: what is done after a batch failed, so that a job fails alone.
- ``progress``: whether the batch at the engine gets on, so that an engine that hangs is noticed.
- ``dispatcher``: the loop that owns all of these, ``ports.Dispatcher``.

One event loop owns everything here and nothing is locked; only what a garbage collector may call from another
thread (``__del__``) goes through a deque or ``call_soon_threadsafe``.
"""

from timbre_server.batching.costs import CostModel, MeasuredCosts
from timbre_server.batching.dispatcher import BatchingDispatcher
from timbre_server.batching.observer import BatchObserver
from timbre_server.batching.policy import Limits, WorkKind

__all__ = ["BatchObserver", "BatchingDispatcher", "CostModel", "Limits", "MeasuredCosts", "WorkKind"]
