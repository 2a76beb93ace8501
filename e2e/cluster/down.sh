#!/usr/bin/env bash
# Ends the local cluster and takes back what it did to the machine: pods first, then programs, then what those left.
# Usage: e2e/cluster/down.sh           forget its objects and volumes, keep the imported images
#        e2e/cluster/down.sh --keep    keep both (up.sh resumes it; volumes in memory are lost)
#        e2e/cluster/down.sh --wipe    forget all that make cluster and make images made here, the built images too
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/settings.sh"
. "$here/programs.sh"
. "$here/machine.sh"

stop_pods() {
  [ -S "$SOCKET" ] && running containerd || return 0
  local task _
  for task in $(ctr -n k8s.io tasks list --quiet); do
    ctr -n k8s.io tasks kill --signal SIGKILL --all "$task" 2>/dev/null
  done
  for _ in {1..50}; do
    ctr -n k8s.io tasks list | grep -q RUNNING || break
    sleep 0.1
  done
  ctr -n k8s.io tasks list --quiet | xargs -r -n 1 ctr -n k8s.io tasks delete --force >/dev/null 2>&1
  ctr -n k8s.io containers list --quiet | xargs -r ctr -n k8s.io containers delete >/dev/null 2>&1
}
clean_machine() {
  end_what_is_left
  unmount_below "$RUN"        # pods' root file systems and network namespaces
  unmount_below "$NODE_STATE" # secrets, volumes
  unmount_below "$STORE"
  nft delete table ip kube-proxy 2>/dev/null
  nft delete table ip6 kube-proxy 2>/dev/null
  remove_bridge
  remove_cgroups
  remove_fixed_places
  restore_sysctls
  rm -rf "${RUN:?}"
}

case ${1:-} in
  "" | --keep | --wipe) ;;
  *) fail "usage: down.sh [--keep | --wipe]" ;;
esac
check_machine
[ -d "$CLUSTER" ] || exit 0
exec 9<"$LOCKED_FOLDER"
flock --nonblock 9 || fail "another run of this script, or of up.sh, goes on"
owner=$(cat "$OWNER_FILE" 2>/dev/null)
if [ -z "$owner" ] || [ "$owner" = "$CLUSTER" ]; then
  export PATH=$CLUSTER/bin:/usr/sbin:/usr/bin:/sbin:/bin CONTAINERD_ADDRESS=$SOCKET
  stop 10 kubelet kube-proxy volumes kube-scheduler kube-controller-manager
  stop_pods
  say "pods have ended"
  stop 10 kube-apiserver containerd
  stop 5 etcd
  clean_machine
  rm -f "$OWNER_FILE" "$KUBECONFIG_FILE"
  say "the machine is as before"
fi
case ${1:-} in
  --keep) ;;
  --wipe)
    unmount_below "$CLUSTER"
    rm -rf "${CLUSTER:?}"
    say "$CLUSTER is gone"
    ;;
  *) rm -rf "$NODE_STATE" ;; # the logs stay until the next cluster
esac
