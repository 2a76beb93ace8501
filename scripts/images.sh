#!/usr/bin/env bash
# Builds Timbre's container images with what this machine has (docker, podman or buildah) and leaves them as archives.
# Usage: scripts/images.sh [IMAGE...]    server operator redis redis-exporter (these are the default), server-torch (6 GB)
#        scripts/images.sh --names       print "IMAGE REFERENCE" of each that was built last; builds nothing
#        scripts/images.sh --push        push those to the registry of their names (IMAGE_REPOSITORY when they were built)
# Environment:
#   BUILDER=docker|podman|buildah        default: the first of them that works here
#   BASE=upstream|debian                 what they are built on: python's and Debian's images from Docker Hub, or a Debian that
#                                        is made here from its package mirror. Default: upstream, with buildah debian
#   DEBIAN_MIRROR=http://deb.debian.org/debian
#   IMAGE_REPOSITORY=localhost           what the names begin with; whoever pushes them says where
# An image's tag is a digest of what it is made from: one that is there already is not built again.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

state=${TIMBRE_CLUSTER:-$PWD/.cluster}
archives=$state/images
repository=${IMAGE_REPOSITORY:-localhost}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
version=$(sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)
began=$SECONDS

say() { printf '[%4ds] %s\n' "$((SECONDS - began))" "$*"; }
fail() { echo "images: $*" >&2; exit 1; }

declare -A dockerfile=(
  [server]=server/Dockerfile [server-torch]=server/Dockerfile [operator]=operator/Dockerfile
  [redis]=images/redis/Dockerfile
  [redis-exporter]=scripts/pack_image.py # one static program needs no Dockerfile
)
package=(pyproject.toml README.md LICENSE NOTICE THIRD_PARTY_LICENSES.md requirements/build.txt server/timbre_contract)
inputs() { # IMAGE: the files and folders that it is made from
  echo "${dockerfile[$1]}"
  case $1 in
    redis-exporter) printf '%s\n' scripts/cluster_tools/exporter ;;
    *) echo images/base/Dockerfile ;;&
    server | server-torch) printf '%s\n' "${package[@]}" "requirements/$1.txt" server/timbre_server ;;
    operator) printf '%s\n' "${package[@]}" requirements/operator.txt operator/timbre_operator ;;
  esac
}

reference() { # IMAGE: its name, with a digest of its inputs as the tag
  local tag
  tag=$(inputs "$1" | xargs -I{} find {} -type f -not -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum |
    cat - <(echo "$base") | sha256sum)
  echo "$repository/timbre-$1:$version-${tag:0:12}"
}

find_builder() {
  local name
  for name in docker podman buildah; do
    if command -v "$name" >/dev/null && "$name" info >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
}

# At a terminal nothing is installed without a yes; elsewhere root installs what is missing.
install_packages() { # WHY PACKAGE...
  local why=$1 answer && shift
  local install="apt-get install --yes --no-install-recommends $*"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "$why. Please run: sudo $install"
  fi
  if [ -t 0 ] && [ -t 1 ] && [ -z "${CI:-}" ]; then
    read -r -p "$why. Install now ($install)? [y/N] " answer
    [[ "$answer" == [yY]* ]] || exit 1
  fi
  say "installing $*"
  apt-get update -qq
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $install >/dev/null
}

# Buildah's storage is bound onto itself, and a build that failed leaves its layers mounted.
release_storage() {
  awk -v below="$state/buildah/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount
}
run_buildah() { buildah --root "$state/buildah" --runroot "$state/buildah-run" --storage-driver overlay "$@"; }

use_storage() {
  mkdir -p "$archives"
  exec 9>"$state/images.lock"
  flock 9
  trap release_storage EXIT
}

# A RUN uses the machine's network: a network of its own may lack a way out, and Podman leaves packet rules and switches
# forwarding on when it makes one.
build() { # REFERENCE DOCKERFILE CONTEXT OPTION...
  local name=$1 file=$2 context=$3 log=$state/build.log && shift 3
  case $builder in
    buildah) run_buildah bud --quiet --isolation chroot --layers "$@" --tag "$name" --file "$file" "$context" ;;
    *) "$builder" build --quiet --network host "$@" --tag "$name" --file "$file" "$context" ;;
  esac >"$log" || { cat "$log" >&2 && fail "$builder could not build $name$hint"; }
}
built() { # REFERENCE
  case $builder in
    buildah) run_buildah inspect --type image "$1" ;;
    *) "$builder" image inspect "$1" ;;
  esac >/dev/null 2>&1
}
save() { # REFERENCE ARCHIVE
  case $builder in
    buildah) run_buildah push --quiet --disable-compression "$1" "docker-archive:$2:$1" ;;
    podman) podman save --quiet --output "$2" "$1" >/dev/null ;;
    docker) docker save --output "$2" "$1" ;;
  esac
}

# Debian from its package mirror, in three: bare, with Python, and with what makes virtual environments.
make_base() {
  local key name missing='' folder=$state/base
  key=$({ cat images/base/Dockerfile && echo "$mirror"; } | sha256sum)
  base_prefix=localhost/timbre-base-
  base_tag=${key:0:12}
  for name in debian python python-build; do
    built "$base_prefix$name:$base_tag" || missing=$name
  done
  [ -n "$missing" ] || return 0
  command -v debootstrap >/dev/null || install_packages "Making a Debian to build on needs debootstrap" debootstrap
  [ "$(id -u)" = 0 ] || fail "debootstrap needs root; BASE=upstream takes the base images from Docker Hub"
  say "making a Debian 12 to build on, from $mirror (about a minute)"
  rm -rf "$folder" && mkdir -p "$folder"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$folder/root" "$mirror" >"$folder/debootstrap.log" ||
    fail "debootstrap failed; see $folder/debootstrap.log"
  local security="http://security.debian.org/debian-security"
  printf 'deb %s bookworm main\ndeb %s bookworm-updates main\ndeb %s bookworm-security main\n' \
    "$mirror" "$mirror" "$security" >"$folder/root/etc/apt/sources.list"
  tar -C "$folder/root" --one-file-system --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
    --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' -cf "$folder/rootfs.tar" .
  rm -rf "$folder/root" # Docker would be sent it with the rest of the folder
  cp images/base/Dockerfile "$folder/"
  for name in debian python python-build; do
    build "$base_prefix$name:$base_tag" "$folder/Dockerfile" "$folder" --target "$name"
    say "  $name is there"
  done
  rm -rf "$folder"
}

# Pip shall trust what this machine trusts: a proxy on the way may sign with a certificate of its own.
lend_certificates() { # BUILD_IMAGE; says in build_image what has them too
  local file folder=$state/certificates
  build_image=$1
  for file in ${SSL_CERT_FILE:-} /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ -e "$file" ] || continue
    mkdir -p "$folder"
    cp images/certificates/Dockerfile "$folder/" && cp "$file" "$folder/certificates.crt"
    build_image=localhost/timbre-build:$(cat "$folder"/* - <<<"$1" | sha256sum | cut -c 1-12)
    build "$build_image" "$folder/Dockerfile" "$folder" --build-arg "BUILD_IMAGE=$1"
    return
  done
}

pack_exporter() { # REFERENCE ARCHIVE
  scripts/cluster_tools.sh redis_exporter
  say "packing $1"
  python3 scripts/pack_image.py "$2.unfinished" "$1" "$(scripts/cluster_tools.sh --path)/bin/redis_exporter"
  mv "$2.unfinished" "$2"
  echo "$1" >"${2%.tar}.name"
}

make_image() { # IMAGE
  local name=$1 reference archive=$archives/$1.tar context=. arguments=() base_image build_image
  reference=$(reference "$name")
  if [ -e "$archive" ] && [ "$(cat "$archives/$name.name" 2>/dev/null)" = "$reference" ]; then
    say "$reference is there"
    return
  fi
  if [ "$name" = redis-exporter ]; then
    pack_exporter "$reference" "$archive"
    return
  fi
  say "building $reference"
  base_image=$(sed -n 's/^ARG BASE_IMAGE=//p' "${dockerfile[$name]}")
  build_image=$base_image
  if [ "$base" = debian ]; then
    make_base
    base_image=${base_prefix}python:$base_tag build_image=${base_prefix}python-build:$base_tag
  fi
  case $name in
    redis)
      [ "$base" = upstream ] || base_image=${base_prefix}debian:$base_tag
      context=$(dirname "${dockerfile[$name]}")
      ;;
    *)
      lend_certificates "$build_image"
      arguments=(--build-arg "BUILD_IMAGE=$build_image")
      ;;
  esac
  [ "$name" != server-torch ] || arguments+=(--build-arg REQUIREMENTS=server-torch)
  build "$reference" "${dockerfile[$name]}" "$context" --build-arg "BASE_IMAGE=$base_image" "${arguments[@]}"
  # Unfinished archives have another name, and no name is written before the archive is whole.
  rm -f "$archive" "$archives/$name.name" "$archive.unfinished"
  save "$reference" "$archive.unfinished"
  mv "$archive.unfinished" "$archive"
  echo "$reference" >"$archives/$name.name"
  say "  $name: $(python3 scripts/image_parts.py "$archive" 5)"
}

print_names() {
  local file
  for file in "$archives"/*.name; do
    [ ! -e "$file" ] || echo "$(basename "$file" .name) $(cat "$file")"
  done
}
push_images() {
  local name reference
  [ -n "$builder" ] || fail "pushing images needs docker, podman or buildah, and none works here"
  [ -n "$(print_names)" ] || fail "there is no image to push; build some first"
  use_storage
  while read -r name reference; do
    [[ $reference != localhost/* ]] ||
      fail "$reference names no registry; build it with IMAGE_REPOSITORY=REGISTRY/FOLDER, which the cluster can pull from"
    say "pushing $reference"
    case $builder in
      buildah)
        run_buildah pull --quiet "docker-archive:$archives/$name.tar" >/dev/null
        run_buildah push --quiet "$reference"
        ;;
      *)
        "$builder" load --quiet --input "$archives/$name.tar" >/dev/null
        "$builder" push --quiet "$reference" >/dev/null
        ;;
    esac
  done < <(print_names)
}

if [ "${1:-}" = --names ]; then
  print_names
  exit
fi
builder=${BUILDER:-$(find_builder)}
if [ "${1:-}" = --push ]; then
  push_images
  exit
fi
wanted=("$@")
((${#wanted[@]})) || wanted=(server operator redis redis-exporter)
for name in "${wanted[@]}"; do
  [ -n "${dockerfile[$name]:-}" ] || fail "there is no image $name; there are ${!dockerfile[*]}"
done

if [ -z "$builder" ]; then
  install_packages "Building images needs docker, podman or buildah, and none works here" buildah
  builder=buildah
fi
case ${BASE:=$([ "$builder" = buildah ] && echo debian || echo upstream)} in
  upstream) base=$BASE hint="; where Docker Hub cannot be reached, BASE=debian makes what it builds on here" ;;
  debian) base=$BASE hint= ;;
  *) fail "BASE is upstream or debian, not $BASE" ;;
esac
use_storage
say "building with $builder on ${base/upstream/"the images that the Dockerfiles name"}; the first time takes some minutes"
for name in "${wanted[@]}"; do
  make_image "$name"
done
say "done: $archives"
