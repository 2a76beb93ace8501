#!/usr/bin/env bash
# Writes requirements/*.txt anew: exact versions and hashes, for every Python from 3.11 on, and no index address.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    "${@:2}" --output-file "requirements/$1.txt" pyproject.toml requirements/build.in
}
compile dev --extra dev
compile server --extra server --extra embedded --constraint requirements/dev.txt
compile torch --extra server --extra embedded --extra pocket-tts --constraint requirements/dev.txt requirements/torch.in
