# What the cluster needs of the machine (packages, cgroups, kernel settings, a bridge), and how to undo it.
# Sourced by up.sh and down.sh.
# shellcheck shell=bash

check_machine() {
  [ "$(id -u)" = 0 ] || fail "a node needs root (namespaces, mounts, a bridge); or set KUBE_CONTEXT to use a cluster of yours"
  [ "$(uname -s)" = Linux ] || fail "a node needs Linux; or set KUBE_CONTEXT to use a cluster of yours"
  # A Unix socket's path holds 107 characters (unix(7)), and containerd appends to ours.
  ((${#SOCKET} < 90)) || fail "the path $CLUSTER is too long for sockets; set TIMBRE_CLUSTER to a shorter one"
  [[ $CLUSTER != *[[:space:]]* ]] || fail "the path $CLUSTER has a space; set TIMBRE_CLUSTER to one without"
  local folder
  # A container's root may lack what root of a machine has.
  unshare --mount --net true 2>/dev/null || fail "this machine makes no namespaces for a node's pods; or set KUBE_CONTEXT"
  unshare --mount mount -t tmpfs none /mnt 2>/dev/null || fail "this machine mounts nothing for a node; or set KUBE_CONTEXT"
  for folder in $(hierarchies); do
    mkdir -p "$folder/$CGROUP-tried" 2>/dev/null || fail "this machine lets nobody make cgroups ($folder); or set KUBE_CONTEXT"
    rmdir "$folder/$CGROUP-tried"
  done
}

# At a terminal nothing is installed without a yes; elsewhere root installs what is missing.
install_packages() {
  local missing=() name answer
  for name in "${PACKAGES[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || fail "please install what is called ${missing[*]} on Debian"
  local install="apt-get install --yes --no-install-recommends ${missing[*]}"
  if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
    read -r -p "A node needs ${missing[*]}. Install now ($install; no service is started)? [y/N] " answer
    [[ "$answer" == [yY]* ]] || exit 1
  fi
  say "installing ${missing[*]}"
  apt-get update -qq
  # RUNLEVEL=1 is how Debian's scripts know that no service should start.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $install >/dev/null
}

# -- cgroups: every program and pod is below /timbre, or it would be charged to whoever called make.
cgroup_version() { [ -e /sys/fs/cgroup/cgroup.controllers ] && echo 2 || echo 1; }
hierarchies() { # version 1 has one for each controller
  local folder
  if [ "$(cgroup_version)" = 2 ]; then
    echo /sys/fs/cgroup
    return
  fi
  for folder in /sys/fs/cgroup/*; do
    [ -L "$folder" ] || [ ! -e "$folder/tasks" ] || echo "$folder"
  done
}
make_cgroups() {
  local folder name parent
  for folder in $(hierarchies); do
    mkdir -p "$folder/$CGROUP/programs" # beside it the kubelet makes kubepods
    if [ "$(cgroup_version)" = 2 ]; then
      for name in cpu cpuset memory pids io hugetlb; do
        for parent in "$folder" "$folder/$CGROUP"; do
          echo "+$name" >"$parent/cgroup.subtree_control" || true # the kubelet says which it misses
        done 2>/dev/null
      done
    elif [ -e "$folder/cpuset.cpus" ]; then # no process may enter before it has processors and memory
      for parent in "$CGROUP" "$CGROUP/programs"; do
        for name in cpuset.cpus cpuset.mems; do cat "$folder/$name" >"$folder/$parent/$name"; done
      done
    fi
  done
}
join_cgroups() {
  local folder
  for folder in $(hierarchies); do
    echo "$BASHPID" >"$folder/$CGROUP/programs/cgroup.procs"
  done
}
end_what_is_left() { # a shim that containerd could not end in time outlives it
  local processes _
  for _ in {1..50}; do
    processes=$(find /sys/fs/cgroup/"$CGROUP" /sys/fs/cgroup/*/"$CGROUP" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u)
    [ -n "$processes" ] || return 0
    xargs kill -KILL <<<"$processes" 2>/dev/null
    sleep 0.1
  done
}
remove_cgroups() { # runc makes them in a hierarchy of version 2 beside version 1 too
  local folder
  for folder in /sys/fs/cgroup/"$CGROUP" /sys/fs/cgroup/*/"$CGROUP"; do
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null
  done
  return 0
}

# -- kernel settings: what they were is kept, so that down.sh can give them back.
set_sysctls() {
  modprobe -a br_netfilter overlay 2>/dev/null || true # a kernel may have them built in
  [ -e "$CLUSTER/sysctl.saved" ] || sysctl -e "${SYSCTLS[@]}" >"$CLUSTER/sysctl.saved"
  sysctl -qw net.ipv4.ip_forward=1
  # A pod's answer to a pod on the same bridge must pass the rules that turn a Service's address into a pod's.
  sysctl -qw net.bridge.bridge-nf-call-iptables=1 || fail "this kernel has no br_netfilter"
}
restore_sysctls() {
  [ ! -e "$CLUSTER/sysctl.saved" ] || { sysctl -q -e -p "$CLUSTER/sysctl.saved" && rm "$CLUSTER/sysctl.saved"; }
}

# -- the network
make_bridge() {
  local foreign
  foreign=$(ip -4 -o addr show to "$POD_NETWORK" | awk -v ours="$BRIDGE" '$2 != ours { print $2 }')
  [ -z "$foreign" ] || fail "$foreign has an address in $POD_NETWORK, which the pods would get"
  foreign=$(ip -4 route show root "$SERVICE_NETWORK" | grep -v " dev $BRIDGE " || true)
  [ -z "$foreign" ] || fail "$SERVICE_NETWORK, for Services, is routed already: $foreign"
  ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
  ip addr replace "$NODE_IP/${POD_NETWORK#*/}" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  ip route replace "$SERVICE_NETWORK" dev "$BRIDGE" src "$NODE_IP" # for the machine itself, which may have no default route
  # Docker lets nothing pass that it does not know.
  if iptables -S FORWARD 2>/dev/null | grep -qx -- '-P FORWARD DROP'; then
    iptables -C FORWARD "${PASS[@]}" 2>/dev/null || iptables -I FORWARD "${PASS[@]}"
  fi
}
PASS=(-i "$BRIDGE" -o "$BRIDGE" -m comment --comment timbre-cluster -j ACCEPT)
remove_bridge() {
  local port
  iptables -S FORWARD 2>/dev/null | grep -q timbre-cluster && iptables -D FORWARD "${PASS[@]}"
  # A pod's end goes with its network namespace, which the kernel removes in its own time.
  for port in /sys/class/net/"$BRIDGE"/brif/*; do
    [ ! -e "$port" ] || ip link delete "${port##*/}" 2>/dev/null
  done
  ip link show "$BRIDGE" >/dev/null 2>&1 && ip link delete "$BRIDGE" # its address and its routes go with it
  return 0
}
unmount_below() { # FOLDER: deepest first
  awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount --lazy
}
# Places that programs cannot be told otherwise. What is not ours stays, and with it the folders.
remove_fixed_places() {
  local result sandbox
  for result in /var/lib/cni/results/timbre-*-eth0; do
    sandbox=${result#*/timbre-} && sandbox=${sandbox%-eth0}
    rm -f "$result" "/var/lib/cni/results/cni-loopback-$sandbox-lo"
  done
  rm -f /var/lib/kubelet/device-plugins/{kubelet.sock,kubelet_internal_checkpoint,DEPRECATION}
  rmdir --ignore-fail-on-non-empty /var/lib/cni/{results,} /var/lib/kubelet/{device-plugins,} /run/containerd/{s,runc/k8s.io,runc,}
} 2>/dev/null
