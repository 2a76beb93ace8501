"""What beside the managed Redis tells Prometheus how it fares?"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

from timbre_operator.desired.inputs import Inputs, Manifest, RedisPasswords
from timbre_operator.desired.pod import container_security
from timbre_operator.desired.redis_access import REDIS_PORT
from timbre_operator.voiceservice.names import EXPORTER_CONTAINER

METRICS_PORT: Final = 9121
"""That of redis_exporter, by which dashboards of others find it."""
MONITOR_USER: Final = "timbre-monitor"
PASSWORD_FILE: Final = "exporter.json"  # noqa: S105  # the name of a file
FOLDER: Final = "/etc/redis-exporter"
_ADDRESS: Final = f"localhost:{REDIS_PORT}"


def monitor_password(passwords: RedisPasswords) -> str:
    """Derived, so that it needs no place of its own; nobody finds the operator's password by it."""
    return hmac.new(passwords.operator.encode(), MONITOR_USER.encode(), hashlib.sha256).hexdigest()


def password_file(passwords: RedisPasswords) -> str:
    """As the exporter reads it: a password for each address."""
    return json.dumps({f"redis://{MONITOR_USER}@{_ADDRESS}": monitor_password(passwords)})


def build_exporter(inputs: Inputs) -> Manifest:
    """The container.  It has no readiness probe: Redis serves without it."""
    return {
        "name": EXPORTER_CONTAINER,
        "image": inputs.release.exporter_image,
        "args": [
            f"--redis.addr=redis://{_ADDRESS}",
            f"--redis.user={MONITOR_USER}",
            f"--redis.password-file={FOLDER}/{PASSWORD_FILE}",
            f"--web.listen-address=:{METRICS_PORT}",
            "--config-command=-",  # it may not ask: INFO tells the bounds too
            "--disable-scrape-endpoint=true",  # it would connect to whatever address a stranger names
            "--log-format=json",
        ],
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        # 16 MiB resident while it is scraped (v1.88.0, measured); Go may keep as much again for its next collection.
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": "metrics"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "volumeMounts": [{"name": "exporter", "mountPath": FOLDER, "readOnly": True}],
    }
