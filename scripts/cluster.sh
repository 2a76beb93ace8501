#!/usr/bin/env bash
# Brings up a Kubernetes cluster for end-to-end tests and the demo, or lends yours; .cluster/kubeconfig leads to it.
# Usage: scripts/cluster.sh up | images | down [--keep | --wipe] | status | check
#   up       starts a single-node cluster on this machine, which must be Debian or Ubuntu and you root, with the images that
#            are built; repeated, it starts what does not run
#   images   brings what scripts/images.sh built last to the cluster
#   down     takes everything back; --keep resumes next time, --wipe removes .cluster too
#   status   says what runs
#   check    fails, with the reason, where this machine cannot run a node, or images have no way to yours; starts nothing
# With KUBE_CONTEXT=NAME it is the cluster of that context in your kubeconfig: `up` looks whether it answers; `images` brings
# them there by `kind load`, `minikube image load`, or a push to IMAGE_REPOSITORY=REGISTRY/FOLDER, which must be set then;
# `down` forgets the context and leaves the cluster alone.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
. e2e/cluster/settings.sh
. e2e/cluster/programs.sh
. e2e/cluster/machine.sh

bin() { "$ROOT/scripts/cluster_tools.sh" kubectl helm >&2 && echo "$("$ROOT/scripts/cluster_tools.sh" --path)/bin"; }

# -- yours
by_registry() { case $KUBE_CONTEXT in kind-* | minikube) false ;; esac; }
check_way() {
  ! by_registry || [ -n "${IMAGE_REPOSITORY:-}" ] ||
    fail "the cluster of $KUBE_CONTEXT gets its images from a registry; say which: IMAGE_REPOSITORY=REGISTRY/FOLDER"
}
lend_context() {
  check_way
  mkdir -p "$CLUSTER"
  [ ! -e "$OWNER_FILE" ] || [ "$(cat "$OWNER_FILE")" != "$CLUSTER" ] ||
    fail "the local cluster runs; end it first: scripts/cluster.sh down"
  ln -sfn "$(bin)" "$CLUSTER/bin"
  # One context alone, so that nothing here can reach another cluster of yours.
  "$CLUSTER/bin/kubectl" config view --minify --flatten --context "$KUBE_CONTEXT" >"$KUBECONFIG_FILE.new" ||
    fail "your kubeconfig has no context $KUBE_CONTEXT"
  chmod 600 "$KUBECONFIG_FILE.new" && mv "$KUBECONFIG_FILE.new" "$KUBECONFIG_FILE"
  KUBECONFIG=$KUBECONFIG_FILE "$CLUSTER/bin/kubectl" version >/dev/null || fail "the cluster of $KUBE_CONTEXT does not answer"
  say "using the cluster of your context $KUBE_CONTEXT"
}
send_images() {
  local name reference
  if by_registry; then
    scripts/images.sh --push
    return
  fi
  while read -r name reference; do
    case $KUBE_CONTEXT in
      kind-*) kind load image-archive "$CLUSTER/images/$name.tar" --name "${KUBE_CONTEXT#kind-}" ;;
      minikube) minikube image load "$CLUSTER/images/$name.tar" ;;
    esac
    say "sent $reference"
  done < <(scripts/images.sh --names)
}

# -- this machine's
status() {
  local name
  for name in "${PROGRAMS[@]}"; do
    running "$name" && echo "$name runs" || echo "$name does not run"
  done
}

command=${1:-}
[ -z "$command" ] || shift
case $command${KUBE_CONTEXT:+-lent} in
  up | images) e2e/cluster/up.sh ;;
  down) e2e/cluster/down.sh "$@" ;;
  status) status ;;
  check) check_machine ;;
  up-lent) lend_context ;;
  images-lent) send_images ;;
  down-lent) rm -f "$KUBECONFIG_FILE" && say "your cluster was left as it is" ;;
  check-lent) check_way ;;
  status-lent) KUBECONFIG=$KUBECONFIG_FILE "$CLUSTER/bin/kubectl" get nodes ;;
  *) fail "usage: scripts/cluster.sh up | images | down [--keep | --wipe] | status | check" ;;
esac
