#!/usr/bin/env bash
# Starts the local cluster, or what of it does not run: a real node with kubelet and containerd, and its control plane.
# Usage: e2e/cluster/up.sh    (scripts/cluster.sh calls it; TIMBRE_CLUSTER names another folder than .cluster)
set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/settings.sh"
. "$here/programs.sh"
. "$here/machine.sh"
. "$here/control_plane.sh"
. "$here/node.sh"

announce() {
  cat <<END
A single-node Kubernetes for this machine. What it does to the machine, until scripts/cluster.sh down:
  installs   ${PACKAGES[*]} (Debian's; no service is started)
  adds       the bridge $BRIDGE ($NODE_IP), a route for $SERVICE_NETWORK, an nft table, cgroups /$CGROUP, mounts below the folder
  sets       ${SYSCTLS[*]}
  keeps      everything else in $CLUSTER
Nothing listens on other addresses than $NODE_IP and 127.0.0.1. Pods reach each other and this machine, nothing else.
END
}
take_machine() {
  exec 9<"$LOCKED_FOLDER"
  flock --nonblock 9 || fail "another run of this script, or of down.sh, goes on"
  local owner
  owner=$(cat "$OWNER_FILE" 2>/dev/null || true)
  if [ -n "$owner" ] && [ "$owner" != "$CLUSTER" ] && ip link show "$BRIDGE" >/dev/null 2>&1; then
    fail "the cluster of $owner runs, and a machine has one; end it with: TIMBRE_CLUSTER=$owner $here/down.sh"
  fi
  echo "$CLUSTER" >"$OWNER_FILE"
}
prepare_folders() {
  [ -d "$NODE_STATE/etcd" ] || rm -rf "$LOGS" # of the cluster before
  mkdir -p "$RUN" "$NODE_STATE"/{etcd,kubelet,logs,volumes} "$STORE" "$CONF/cni" "$LOGS"
  # What another boot left in run/ is about processes and sockets that are gone.
  local boot
  boot=$(cat /proc/sys/kernel/random/boot_id)
  if [ "$(cat "$RUN/boot" 2>/dev/null)" != "$boot" ]; then
    rm -rf "${RUN:?}"/* && echo "$boot" >"$RUN/boot"
  fi
}
make_certificates() {
  # Made anew only for other addresses: certificates that others had signed by this authority stay good.
  local for="$API_URL $NODE $NODE_IP $API_SERVICE_IP"
  if [ "$(cat "$PKI/made-for" 2>/dev/null)" != "$for" ]; then
    "$ROOT/.venv/bin/python" "$here/certificates.py" "$PKI" "$API_URL" "$NODE" "$NODE_IP" "$API_SERVICE_IP" 127.0.0.1
    echo "$for" >"$PKI/made-for"
  fi
  cp "$PKI/admin.kubeconfig" "$KUBECONFIG_FILE"
}

check_machine
running kubelet || announce
install_packages
"$ROOT/scripts/cluster_tools.sh" "${TOOLS[@]}"
bin=$("$ROOT/scripts/cluster_tools.sh" --path)/bin
export PATH=$bin:/usr/sbin:/usr/bin:/sbin:/bin KUBECONFIG=$KUBECONFIG_FILE CONTAINERD_ADDRESS=$SOCKET

BEGAN=$EPOCHREALTIME # what follows is the start itself
mkdir -p "$CLUSTER"
take_machine
prepare_folders
ln -sfn "$bin" "$CLUSTER/bin"
make_cgroups
set_sysctls
make_bridge
make_certificates
write_configuration
start_containerd
start_etcd
start_apiserver
wait_for 20 "containerd answers" ctr version
import_images
wait_for 90 "the API server is ready" kubectl get --raw /readyz
start_controllers
start_kubelet
start_proxy
kubectl apply -f "$CONF/storage.yaml" -f "$CONF/coredns.yaml" >"$LOGS/apply.log"
start_volumes
wait_for 60 "the node is ready" node_is_ready
wait_for 60 "names are answered" kubectl -n kube-system rollout status deployment/coredns --timeout=1s
say "the cluster is up; try: KUBECONFIG=$KUBECONFIG_FILE $CLUSTER/bin/kubectl get pods --all-namespaces"
