# Starts and stops the cluster's programs; a pid file says which process is ours. Sourced by up.sh and down.sh.
# shellcheck shell=bash

BEGAN=$EPOCHREALTIME
say() { printf '[%5.1fs] %s\n' "$(seconds_since "$BEGAN")" "$*"; }
fail() { printf 'cluster: %s\n' "$*" >&2; exit 1; }
seconds_since() { awk -v since="$1" -v now="$EPOCHREALTIME" 'BEGIN { print now - since }'; }

# A process is known by its id and the moment it started, because ids are used again.
started_at() { # PID: clock ticks since the boot; fails where there is no such process, or only its remains
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) } # the name in brackets may hold anything
  [[ $stat != Z* ]] || return 1
  read -ra stat <<<"$stat"
  echo "${stat[19]}"
}
running() { # NAME
  local pid start
  read -r pid start 2>/dev/null <"$RUN/$1.pid" && [ "$(started_at "$pid")" = "$start" ]
}
start() { # NAME COMMAND...: in a session and cgroups of its own; nothing where it runs
  local name=$1 pid && shift
  ! running "$name" || return 0
  (
    join_cgroups
    exec setsid "$@"
  ) >>"$LOGS/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$RUN/$name.pid"
}
stop() { # SECONDS NAME...: asks all of them, waits, then ends those that are left
  local left=$(($1 * 10)) name pid && shift
  local -a waiting=()
  for name; do
    if running "$name"; then
      read -r pid _ <"$RUN/$name.pid"
      kill "$pid" && waiting+=("$name")
    fi
  done
  while ((left-- > 0 && ${#waiting[@]})); do
    for name in "${!waiting[@]}"; do
      running "${waiting[$name]}" || unset "waiting[$name]"
    done
    sleep 0.1
  done
  for name in "${waiting[@]}"; do
    say "$name did not end; killing it"
    read -r pid _ <"$RUN/$name.pid"
    kill -KILL "$pid"
  done
  for name; do rm -f "$RUN/$name.pid"; done
}
wait_for() { # SECONDS WHAT COMMAND...
  local until=$((SECONDS + $1)) what=$2 && shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until)) || fail "timed out waiting for $what; the logs are in $LOGS"
    sleep 0.1
  done
  say "$what"
}
