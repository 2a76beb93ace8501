#!/usr/bin/env bash
# Makes sure that a redis-server is here: tests and the demo run against a real one.
# Root on Debian or Ubuntu gets it installed; anyone else is told the command.
set -euo pipefail
binary=${REDIS_SERVER:-redis-server}
command -v "$binary" >/dev/null && exit 0
if [ "$binary" != redis-server ]; then
  echo "REDIS_SERVER=$binary is not there." >&2
  exit 1
fi
install="apt-get install --yes --no-install-recommends redis-server"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && { [ -n "${CI:-}" ] || [ ! -t 0 ]; }; then
  echo "installing redis-server (tests and the demo use a real one; no service is started)"
  apt-get update -qq
  # policy-rc.d is the Debian way to say: install, but start nothing.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $install >/dev/null
  exit 0
fi
echo "Timbre's tests and demo need a redis-server. Please run: sudo $install" >&2
exit 1
