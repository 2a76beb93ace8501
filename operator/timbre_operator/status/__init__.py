"""What does a VoiceService say about itself?  Facts in, conditions out.

Pure.  Each condition comes of small checks that stand in order: the first that finds something gives the reason, which
programs may rely on, and the message, which names the object and the next thing to do.  Messages hold no numbers that
change while nothing happens, so that at rest nothing is written.
"""

from timbre_operator.status.events import EventFacts, events
from timbre_operator.status.report import build_invalid_status, build_status

__all__ = ["EventFacts", "build_invalid_status", "build_status", "events"]
