"""What does an answer of the API server mean that is no success?

References: https://kubernetes.io/docs/reference/using-api/api-concepts/ and metav1.Status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from timbre_operator.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unavailable

_BY_CODE: Final[dict[int, type[ClusterError]]] = {
    400: Invalid,
    403: Forbidden,
    404: NotFound,
    405: Invalid,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
}
"""What is not here may go through later: 401 (a token that is just being replaced), 410, 429, and everything from 500 on."""
_WORDS: Final = {404: "the API server does not know this kind"}
"""Where it says nothing itself: a kind without a CRD is a path that nobody serves."""
_LONGEST_MESSAGE: Final = 1000
"""Room for a condition's message beside our own words, and more than anybody reads."""


def refusal(code: int, body: bytes) -> ClusterError:
    """The error for a status from 400 on, with the API server's own words."""
    status = _status(body)
    reason = str(status.get("reason") or "")
    message = _message(status) or _WORDS.get(code, f"the API server answered {code}")
    return _BY_CODE.get(code, Unavailable)(message[:_LONGEST_MESSAGE], reason=reason)


def retry_after_seconds(headers: Mapping[str, str], body: bytes) -> float | None:
    """How long the API server asks us to wait; None where it does not say."""
    details = _status(body).get("details") or {}
    written = headers.get("Retry-After") or str(details.get("retryAfterSeconds") or "")
    return float(written) if written.isdecimal() else None


def _status(body: bytes) -> Mapping[str, Any]:
    """Anything else than a Status may hold what is nobody's business."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) and parsed.get("kind") == "Status" else {}


def _message(status: Mapping[str, Any]) -> str:
    details = status.get("details") or {}
    if details.get("kind") == "Secret" and details.get("causes"):
        # Its message quotes values; fields and reasons say enough.
        causes = "; ".join(f"{cause.get('field')}: {cause.get('reason')}" for cause in details["causes"])
        return f"Secret {details.get('name')} is invalid: {causes}"
    return str(status.get("message") or "")
