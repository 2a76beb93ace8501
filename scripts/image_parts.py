"""What is large in an image?  Usage: scripts/image_parts.py ARCHIVE [HOW_MANY]; the archive as `docker save` writes it."""

import json
import sys
import tarfile
from collections import Counter
from typing import IO, Final

MEGABYTE: Final = 1_000_000


def part(path: str) -> str:
    """A package of Python by its name, anything else by its first folders."""
    words = path.split("/")
    if "site-packages" in words:
        return words[words.index("site-packages") + 1].removesuffix(".libs") + " (Python)"
    return "/" + "/".join(words[: 2 if words[0] in {"usr", "var"} else 1])


def file_sizes(layer: IO[bytes]) -> Counter[str]:
    """Bytes of each path in one layer; a file that a later layer removes still counts, for it is carried along."""
    with tarfile.open(fileobj=layer) as files:
        return Counter({entry.name.removeprefix("./"): entry.size for entry in files if entry.isfile()})


def main(archive: str, how_many: int = 8) -> None:
    """Prints the total and the largest parts."""
    sizes: Counter[str] = Counter()
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        for name in json.load(manifest)[0]["Layers"]:
            layer = image.extractfile(name)
            assert layer is not None
            sizes.update(file_sizes(layer))
    parts: Counter[str] = Counter()
    for path, size in sizes.items():
        parts[part(path)] += size
    largest = ", ".join(f"{name} {size // MEGABYTE}" for name, size in parts.most_common(how_many))
    print(f"{sizes.total() // MEGABYTE} MB; the largest parts: {largest}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
