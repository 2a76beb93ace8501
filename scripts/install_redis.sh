#!/usr/bin/env bash
# Makes sure that a redis-server is here: tests and the demo run against a real one.
# Without a terminal root installs it; at a terminal it asks; where it cannot, it prints the command.
set -euo pipefail
binary=${REDIS_SERVER:-redis-server}
command -v "$binary" >/dev/null && exit 0
if [ "$binary" != redis-server ]; then
  echo "REDIS_SERVER=$binary is not there." >&2
  exit 1
fi
install="apt-get install --yes --no-install-recommends redis-server"
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo "

may_install() {
  command -v apt-get >/dev/null || return 1
  [ -z "$as_root" ] || command -v sudo >/dev/null || return 1
  if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
    read -r -p "Tests and the demo need a redis-server. Install it now (${as_root}$install)? [y/N] " answer
    [[ "$answer" == [yY]* ]]
  else
    [ -z "$as_root" ]
  fi
}

if may_install; then
  echo "installing redis-server (no service is started)"
  ${as_root}apt-get update -qq
  # RUNLEVEL=1 is how Debian's scripts know that no service should start.
  ${as_root}env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $install >/dev/null
else
  echo "Timbre's tests and demo need a redis-server. Please run: sudo apt-get update && sudo $install" >&2
  exit 1
fi
