# The programs of the node, their configuration and their images. Sourced by up.sh.
# shellcheck shell=bash

PAUSE_IMAGE=localhost/timbre-node-pause:1
COREDNS_IMAGE=localhost/timbre-node-coredns:1

render() { # TEMPLATE: with the values of the settings that it names
  local text name
  text=$(<"$1")
  for name in STORE RUN NODE_STATE CONF PKI SOCKET NODE NODE_IP BRIDGE CGROUP POD_NETWORK FIRST_POD LAST_POD SERVICE_NETWORK \
    DNS_IP PAUSE_IMAGE COREDNS_IMAGE; do
    text=${text//"\${$name}"/"${!name}"}
  done
  [[ $text != *"\${"* ]] || fail "$1 names a setting that there is not"
  printf '%s\n' "$text"
}
write_configuration() {
  local name
  for name in containerd.toml kubelet.yaml kube-proxy.yaml; do
    render "$here/conf/$name" >"$CONF/$name"
  done
  render "$here/conf/10-timbre.conflist" >"$CONF/cni/10-timbre.conflist"
  for name in coredns.yaml storage.yaml; do
    render "$here/manifests/$name" >"$CONF/$name"
  done
  : >"$CONF/resolv.conf" # pods that want the machine's names get none
}

start_containerd() { start containerd containerd --config "$CONF/containerd.toml"; }
start_kubelet() {
  running kubelet || KUBELET_BEGAN=$(date -u +%FT%TZ)
  start kubelet kubelet --config="$CONF/kubelet.yaml" --kubeconfig="$PKI/kubelet.kubeconfig" --hostname-override="$NODE" \
    --node-ip="$NODE_IP" --root-dir="$NODE_STATE/kubelet" --cert-dir="$PKI" --v=2
}
start_proxy() { start kube-proxy kube-proxy --config="$CONF/kube-proxy.yaml" --v=2; }
start_volumes() { start volumes "$ROOT/.venv/bin/python" "$here/volumes.py" "$NODE_STATE/volumes" "$NODE"; }

node_is_ready() {
  # In a cluster that is resumed the node still says ready from last time: its word must be newer than this start.
  local ready
  ready=$(kubectl get node "$NODE" \
    -o jsonpath='{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].lastHeartbeatTime}')
  [[ $ready == True* && ! $ready < "True ${KUBELET_BEGAN:-}" ]]
}

# An archive of one image, its name beside it. What containerd has by that name is the same: tags are digests of contents.
import_images() {
  local named name archive known
  pack_node_image "$PAUSE_IMAGE" pause
  pack_node_image "$COREDNS_IMAGE" coredns
  known=$(ctr -n k8s.io images list --quiet)
  for named in "$CLUSTER"/node-images/*.name "$CLUSTER"/images/*.name; do
    [ -e "$named" ] || continue
    name=$(cat "$named") archive=${named%.name}.tar # which is there before its name is, while images are being built
    grep -qxF "$name" <<<"$known" && continue
    ctr -n k8s.io images import "$archive" >>"$LOGS/import.log"
    say "imported $name"
  done
  forget_old_images
}
pack_node_image() { # REFERENCE PROGRAM
  local archive=$CLUSTER/node-images/$2.tar
  mkdir -p "$CLUSTER/node-images"
  if ! [ "$archive" -nt "$bin/$2" ]; then
    "$ROOT/.venv/bin/python" "$ROOT/scripts/pack_image.py" "$archive" "$1" "$bin/$2"
    echo "$1" >"${archive%.tar}.name"
    ctr -n k8s.io images remove --sync "$1" >/dev/null 2>&1 || true
  fi
}
# Earlier builds of ours, and the entry "sha256:..." that containerd keeps for each image beside its name.
forget_old_images() {
  local current
  current=$(cat "$CLUSTER"/node-images/*.name "$CLUSTER"/images/*.name 2>/dev/null || true) # none may be built yet
  ctr -n k8s.io images list | awk -v current="$current" '
    BEGIN { split(current, names, "\n"); for (i in names) wanted[names[i]] = 1 }
    NR == 1 { next }
    $1 ~ /^sha256:/ { id[$1] = $3; next }
    $1 in wanted { kept[$3] = 1; next }
    { print $1 }
    END { for (i in id) if (!(id[i] in kept)) print i }' | xargs -r ctr -n k8s.io images remove --sync >>"$LOGS/import.log"
}
