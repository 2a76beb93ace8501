# Names, addresses and folders of the local cluster, for up.sh and down.sh.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CLUSTER=${TIMBRE_CLUSTER:-$ROOT/.cluster}
RUN=$CLUSTER/run           # of this boot: pid files, sockets, containerd's runtime state
NODE_STATE=$CLUSTER/state  # of this cluster: etcd, volumes, the kubelet's folder
STORE=$CLUSTER/containerd  # images, which outlive a cluster
CONF=$CLUSTER/conf
PKI=$CLUSTER/pki
LOGS=$CLUSTER/logs
KUBECONFIG_FILE=$CLUSTER/kubeconfig
SOCKET=$RUN/containerd.sock

# One at a time on a machine: the names and addresses below are fixed.
OWNER_FILE=/run/timbre-cluster.owner
LOCKED_FOLDER=/run # a folder can be locked as a file can, and nothing is left of it

NODE=timbre-node
BRIDGE=timbre0             # carries the node's address, and every pod hangs on it
CGROUP=timbre
NODE_IP=10.77.0.1          # apiserver (6443) and kubelet (10250) listen here, all else on 127.0.0.1
POD_NETWORK=10.77.0.0/16
FIRST_POD=10.77.1.1
LAST_POD=10.77.9.254
SERVICE_NETWORK=10.96.0.0/16
API_SERVICE_IP=10.96.0.1
DNS_IP=10.96.0.10
API_URL=https://$NODE_IP:6443
ETCD_URL=http://127.0.0.1:12379
ETCD_PEER_URL=http://127.0.0.1:12380

TOOLS=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl helm coredns pause)
PROGRAMS=(kubelet kube-proxy volumes kube-scheduler kube-controller-manager kube-apiserver containerd etcd) # as they are stopped
PACKAGES=(containerd runc containernetworking-plugins nftables iproute2)
# The kubelet sets the first six; pods need the last two.
SYSCTLS=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys
  kernel.keys.root_maxbytes net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables)
