"""Which environment variables are Timbre's, and which only look so?"""

import re
from typing import Final

PREFIX: Final = "TIMBRE_"
NESTING: Final = "__"

# Kubernetes injects these for every Service of the namespace unless enableServiceLinks is false; a Service
# called timbre, or timbre-something, makes names with our prefix.
# Source: kubernetes pkg/kubelet/envvars, "Discovering services" in the Kubernetes documentation.
_SERVICE_LINK = re.compile(
    r"TIMBRE(?:_[A-Z0-9]+)*_"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9]+)*|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_LINK_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://")


def is_service_link(name: str, value: str) -> bool:
    """True for exactly the variables that Kubernetes derives from a Service, so that a typo of ours is never excused."""
    if _SERVICE_LINK.fullmatch(name) is None:
        return False
    if name.endswith("_PORT") and "_SERVICE_" not in name and not re.search(r"_(?:TCP|UDP|SCTP)_PORT$", name):
        return _LINK_ADDRESS.match(value) is not None
    return True
