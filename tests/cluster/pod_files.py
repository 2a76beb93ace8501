"""What a container finds in its volumes and variables, laid down in a folder of this machine."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.cluster.api import Api, ApiError, Object

_PROGRAMS_HERE: Final = f"{Path(sys.executable).parent}/"


class NotMounted(Exception):
    """A volume cannot be set up yet; kubelet tries again."""

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {message}')


class NotConfigured(Exception):
    """A variable refers to what is not there."""


@dataclass
class Paths:
    """Where the paths of a container lie on this machine."""

    folders: dict[str, Path] = field(default_factory=dict)
    """By mount path."""

    def translated(self, text: str) -> str:
        """The text with every path below a mount path replaced by the real one; our own programs may lie below /tmp too."""
        if not self.folders or text.startswith(_PROGRAMS_HERE):
            return text
        longest_first = sorted(self.folders, key=len, reverse=True)
        paths = "|".join(re.escape(path) for path in longest_first)
        return re.sub(rf"(?<![\w/.-])({paths})(?![\w.-])", lambda found: str(self.folders[found[1]]), text)


class PodFiles:
    """The volumes of one pod."""

    def __init__(self, api: Api, pod: Object, folder: Path, address: str) -> None:
        self._api, self._pod, self._folder, self._address = api, pod, folder, address
        self._namespace: str = pod["metadata"]["namespace"]
        self.volumes: dict[str, Path] = {}

    async def set_up(self) -> None:
        """Raises: NotMounted: a Secret or the like is not there yet."""
        for volume in self._pod["spec"].get("volumes") or ():
            self.volumes[volume["name"]] = await self._set_up(volume)
        self._rewrite_configuration()

    def paths(self, container: Object) -> Paths:
        """Of this container."""
        mounts = container.get("volumeMounts") or ()
        return Paths({mount["mountPath"]: self.volumes[mount["name"]] / mount.get("subPath", "") for mount in mounts})

    async def variables(self, container: Object) -> dict[str, str]:
        """Raises: NotConfigured: a Secret, a ConfigMap or a key of it is missing."""
        variables = await self._service_links()
        for variable in container.get("env") or ():
            source = variable.get("valueFrom")
            value = variable.get("value", "") if source is None else await self._value(source)
            if value is not None:
                variables[variable["name"]] = value
        return variables

    async def _service_links(self) -> dict[str, str]:
        """What Kubernetes tells every pod about the Services of its namespace, unless the pod wants none of it."""
        if self._pod["spec"].get("enableServiceLinks") is False:
            return {}
        variables: dict[str, str] = {}
        for service in await self._api.find("v1/Service", self._namespace):
            address, ports = service["spec"].get("clusterIP", "None"), service["spec"].get("ports") or ()
            if address == "None" or not ports:
                continue
            name, port = service["metadata"]["name"].upper().replace("-", "_"), ports[0]["port"]
            variables |= {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(port)}
            variables |= {f"{name}_PORT": f"tcp://{address}:{port}", f"{name}_PORT_{port}_TCP_ADDR": address}
        return variables

    def _rewrite_configuration(self) -> None:
        """A configuration file names folders of the container that mounts it first."""
        left = {volume["name"] for volume in self._pod["spec"].get("volumes") or () if "configMap" in volume}
        for container in self._pod["spec"]["containers"]:
            mounted = left & {mount["name"] for mount in container.get("volumeMounts") or ()}
            for file in (file for name in mounted for file in self.volumes[name].iterdir()):
                text = self.paths(container).translated(file.read_text("utf-8"))
                # redis.conf listens everywhere; here that would be on the addresses of all pods.
                file.write_text(re.sub(r"^bind .*$", f"bind {self._address}", text, flags=re.MULTILINE), "utf-8")
            left -= mounted

    async def _set_up(self, volume: Object) -> Path:
        name = volume["name"]
        if "persistentVolumeClaim" in volume:
            return await self._claimed(name, volume["persistentVolumeClaim"]["claimName"])
        folder = self._folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        if "secret" in volume:
            await self._lay_down(name, folder, {"secret": {**volume["secret"], "name": volume["secret"]["secretName"]}})
        elif "projected" in volume:
            for source in volume["projected"]["sources"]:
                await self._lay_down(name, folder, source)
        elif "emptyDir" not in volume:
            await self._lay_down(name, folder, {kind: given for kind, given in volume.items() if kind != "name"})
        return folder

    async def _claimed(self, volume: str, claim: str) -> Path:
        found = await self._fetch("v1/PersistentVolumeClaim", claim, volume)
        bound = await self._api.fetch("v1/PersistentVolume", "", found["spec"]["volumeName"])
        return Path(bound["spec"]["hostPath"]["path"])

    async def _lay_down(self, volume: str, folder: Path, source: Object) -> None:
        """One source of a projected volume; plain volumes are such with one source."""
        for kind, given in source.items():
            match kind:
                case "secret":
                    secret = await self._fetch(
                        "v1/Secret", given["name"], volume, optional=given.get("optional", False)
                    )
                    content = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
                    self._write(volume, folder, given, content)
                case "configMap":
                    found = await self._fetch(
                        "v1/ConfigMap", given["name"], volume, optional=given.get("optional", False)
                    )
                    content = {key: value.encode() for key, value in (found.get("data") or {}).items()}
                    self._write(volume, folder, given, content)
                case "downwardAPI":
                    for item in given["items"]:
                        (folder / item["path"]).write_text(self._field(item["fieldRef"]["fieldPath"]), "utf-8")
                case "serviceAccountToken":
                    (folder / given["path"]).write_text(await self.token(), "utf-8")
                case _:
                    raise NotMounted(volume, f"the fake node knows no volume of kind {kind}")

    async def token(self) -> str:
        """Of the pod's ServiceAccount."""
        account = self._pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token"
        answer = await self._api.request("POST", path, {"spec": {}})
        return str(answer["status"]["token"])

    def _write(self, volume: str, folder: Path, given: Object, content: Mapping[str, bytes]) -> None:
        items = given.get("items") or [{"key": key, "path": key} for key in content]
        for item in items:
            if item["key"] not in content:
                raise NotMounted(volume, f"references non-existent secret key: {item['key']}")
            file = folder / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content[item["key"]])

    async def _fetch(self, kind: str, name: str, volume: str, *, optional: bool = False) -> Object:
        try:
            return await self._api.fetch(kind, self._namespace, name)
        except ApiError as error:
            if optional:
                return {}
            raise NotMounted(volume, error.message) from error

    async def _value(self, source: Object) -> str | None:
        if "fieldRef" in source:
            return self._field(source["fieldRef"]["fieldPath"])
        for kind, version in (("secretKeyRef", "v1/Secret"), ("configMapKeyRef", "v1/ConfigMap")):
            if kind in source:
                return await self._referred(version, source[kind])
        raise NotConfigured(f"the fake node knows no variable from {', '.join(source)}")

    async def _referred(self, kind: str, reference: Object) -> str | None:
        try:
            found = await self._api.fetch(kind, self._namespace, reference["name"])
            value = str(found["data"][reference["key"]])
        except (ApiError, KeyError) as error:
            if reference.get("optional"):
                return None
            message = error.message if isinstance(error, ApiError) else f"couldn't find key {reference['key']}"
            raise NotConfigured(message) from error
        return base64.b64decode(value).decode() if kind == "v1/Secret" else value

    def _field(self, path: str) -> str:
        known: dict[str, Any] = {"status.podIP": self._address, "status.hostIP": "127.0.0.1"}
        if path in known:
            return str(known[path])
        if selected := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
            return str((self._pod["metadata"].get(selected[1]) or {}).get(selected[2], ""))
        value: Any = self._pod
        for part in path.split("."):
            value = value[part]
        return str(value)
