#!/usr/bin/env bash
# Writes requirements/*.txt anew: exact versions and hashes, for every Python from 3.11 on, and no index address.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { # NAME, then sources and options
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    "${@:2}" --output-file "requirements/$1.txt"
}
in_images() { # what an image holds: no build tools, and nothing that only tests need
  compile "$1" pyproject.toml "${@:2}" --constraint requirements/dev.txt
}
compile dev pyproject.toml requirements/build.in --extra dev
compile torch pyproject.toml requirements/build.in requirements/torch.in --extra server --extra embedded --extra pocket-tts \
  --constraint requirements/dev.txt
compile build requirements/build.in --constraint requirements/dev.txt
storages=(--extra encryption --extra object-storage) # a VoiceService may choose them
in_images server --extra server --extra embedded "${storages[@]}"
in_images server-torch --extra server --extra embedded --extra pocket-tts --extra gpu "${storages[@]}" --constraint requirements/torch.txt
in_images operator --extra operator

# Hashes don't say for which Pythons there are wheels, and scripts/setup.sh and the images take nothing else.
for python in 3.11 3.12 3.13 3.14; do
  for platform in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu; do
    for name in dev server server-torch operator; do
      .venv/bin/uv pip install --quiet --dry-run --no-deps --only-binary :all: --target .venv/.none --python-version $python \
        --python-platform $platform --requirement requirements/$name.txt ||
        { echo "requirements/$name.txt cannot be installed from wheels on Python $python, $platform" >&2; exit 1; }
    done
  done
done
