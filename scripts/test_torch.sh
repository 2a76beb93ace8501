#!/usr/bin/env bash
# Runs the tests that need torch in an environment of their own, because PyPI's torch brings 5 GB.
# Usage: scripts/test_torch.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "$0")/.."

environment=.venv-torch
wanted=requirements/torch.txt
python=$environment/bin/python
say() { printf '[%3ds] %s\n' "$SECONDS" "$*"; }

has_cuda() { [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]; }

# Triton (1 GB) compiles kernels for a GPU; torch runs without it.  The CUDA libraries must be there on any machine:
# PyPI's torch for Linux on x86-64 is linked against them.
packages() {
  if has_cuda; then
    cat "$wanted"
  else
    awk '/^[a-z]/ { skip = /^triton==/ } !skip' "$wanted"
  fi
}

if ! cmp --silent <(packages) "$environment/.installed"; then
  say "making $environment (some GB, from locked wheels)"
  .venv/bin/python -m venv --clear "$environment"
  packages >"$environment/wanted.txt"
  # pip, as in setup.sh: it knows this machine's index and certificates, which uv would have to be told.
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --requirement "$environment/wanted.txt"
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
  mv "$environment/wanted.txt" "$environment/.installed"
  say "done: $(du -sh "$environment" | cut -f1)"
fi

folders=(tests/server/engine/pocket_tts)
[ -d tests/gpu ] && folders+=(tests/gpu)
has_cuda || export GPU_TESTS_DEVICE=${GPU_TESTS_DEVICE:-cpu}
exec "$python" -m pytest "${folders[@]}" "$@"
