"""Cluster DNS for a process outside of a cluster: Python imports this module by itself where its folder is on PYTHONPATH.

``service.namespace.svc`` is looked up in the file ``namespace`` of the folder CLUSTER_DNS, a line for each Service.
"""

import os
import re
import socket
from pathlib import Path
from typing import Any

_NAME = re.compile(r"([^.]+)\.([^.]+)\.svc(\.cluster\.local)?\.?")
_ask_the_system = socket.getaddrinfo


def _getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    asked = host.decode() if isinstance(host, bytes) else host
    named = _NAME.fullmatch(asked) if isinstance(asked, str) else None
    return _ask_the_system(host if named is None else _address(named[1], named[2]), *arguments, **options)


def _address(service: str, namespace: str) -> str:
    file = Path(os.environ["CLUSTER_DNS"], namespace)
    for line in file.read_text("ascii").splitlines() if file.exists() else ():
        name, _, address = line.partition(" ")
        if name == service:
            return address
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


socket.getaddrinfo = _getaddrinfo
