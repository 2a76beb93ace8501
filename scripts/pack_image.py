"""Which archive makes an image of one static program?  Usage: pack_image.py ARCHIVE NAME:TAG PROGRAM

As `docker save` writes it, one layer, the program at / as the entry point.
"""

import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path
from typing import Final

NOBODY: Final = "65535:65535"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""What Go, and with it the image format, calls them."""


def packed(files: dict[str, tuple[bytes, int]]) -> bytes:
    """A tar archive of contents and modes; the same bytes for the same files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def image(reference: str, program: Path) -> bytes:
    """The archive's bytes."""
    layer = packed({program.name: (program.read_bytes(), 0o755)})
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": NOBODY},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created_by": f"COPY {program.name} /"}],
        }
    ).encode()
    config_name, layer_name = f"{hashlib.sha256(config).hexdigest()}.json", f"{layer_digest}.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}]).encode()
    return packed({config_name: (config, 0o644), layer_name: (layer, 0o644), "manifest.json": (manifest, 0o644)})


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(image(sys.argv[2], Path(sys.argv[3])))
