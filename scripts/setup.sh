#!/usr/bin/env bash
# Makes .venv with everything that a part of Timbre needs, from locked wheels only (no compiler, no torch).
# Usage: scripts/setup.sh server|dev        (server = what a server needs; dev = that, the operator, and all tools)
set -euo pipefail
cd "$(dirname "$0")/.."

part=${1:?usage: scripts/setup.sh server|dev}
began=$SECONDS
say() { printf '[%3ds] %s\n' "$((SECONDS - began))" "$*"; }

find_python() {
  local name
  for name in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$name" ] || continue
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "Timbre needs Python 3.11 or newer; set PYTHON=/path/to/python3 if it is not on the PATH." >&2
  return 1
}

# Debian and Ubuntu keep ensurepip in a package of its own.
ensure_venv_module() {
  "$1" -c 'import ensurepip' 2>/dev/null && return
  local package
  package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  local install="apt-get install --yes $package"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing $package, which brings pip into virtual environments"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install >/dev/null
  else
    echo "This Python cannot make virtual environments. Please run: sudo apt-get update && sudo $install" >&2
    return 1
  fi
}

python=$(find_python)
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  ensure_venv_module "$python"
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
fi
packages=$(grep -c '^[a-z].*==' "requirements/$part.txt")
say "installing the $packages locked packages of requirements/$part.txt (wheels only)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar on \
  --require-hashes --only-binary :all: --requirement "requirements/$part.txt" --requirement requirements/build.txt
say "installing Timbre itself, editable"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch ".venv/.$part"
[ "$part" = dev ] && touch .venv/.server
say "done: .venv/bin/timbre-server starts a server"
