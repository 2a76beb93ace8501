#!/usr/bin/env bash
# Makes .venv-triton with NVIDIA's PyTriton, a peer of `make bench ROW=results`: 370 MB, no GPU needed, Linux with glibc 2.35
# or newer. The package's own interpreter stub works with Debian's Python 3.11 and not with every later patch release, so the
# system's python3 is used.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-/usr/bin/python3}
"$python" -m venv .venv-triton
.venv-triton/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: "nvidia-pytriton==0.7.0" "numpy<2"
echo "done: make bench ROW=results measures against Triton's response cache too"
