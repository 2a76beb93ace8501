# The programs of the control plane with their options. Sourced by up.sh.
# shellcheck shell=bash

start_etcd() {
  # Nothing here must outlive a power cut.
  start etcd etcd --name=timbre --data-dir="$NODE_STATE/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls="$ETCD_URL" --advertise-client-urls="$ETCD_URL" --listen-peer-urls="$ETCD_PEER_URL" \
    --initial-advertise-peer-urls="$ETCD_PEER_URL" --initial-cluster="timbre=$ETCD_PEER_URL"
}
start_apiserver() {
  start kube-apiserver kube-apiserver --etcd-servers="$ETCD_URL" --bind-address="$NODE_IP" --advertise-address="$NODE_IP" \
    --secure-port=6443 --service-cluster-ip-range="$SERVICE_NETWORK" --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --allow-privileged=true --profiling=false --v=1 \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" \
    --kubelet-client-key="$PKI/apiserver-kubelet-client.key" --kubelet-certificate-authority="$PKI/ca.crt" \
    --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file="$PKI/sa.pub" \
    --service-account-signing-key-file="$PKI/sa.key" \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User --proxy-client-cert-file="$PKI/front-proxy-client.crt" \
    --proxy-client-key-file="$PKI/front-proxy-client.key" --enable-aggregator-routing=true
}
start_controllers() {
  # 200 requests a second: a client for each controller is made at the start, and at the default of 20 that takes 5 s.
  # The HPA looks every 2 s instead of 15, so that nobody waits for it.
  start kube-controller-manager kube-controller-manager --kubeconfig="$PKI/controller-manager.kubeconfig" \
    --authentication-kubeconfig="$PKI/controller-manager.kubeconfig" \
    --authorization-kubeconfig="$PKI/controller-manager.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false \
    --use-service-account-credentials=true --root-ca-file="$PKI/ca.crt" --client-ca-file="$PKI/ca.crt" \
    --service-account-private-key-file="$PKI/sa.key" --cluster-signing-cert-file="$PKI/ca.crt" \
    --cluster-signing-key-file="$PKI/ca.key" --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" \
    --cluster-cidr="$POD_NETWORK" --allocate-node-cidrs=false --kube-api-qps=200 --kube-api-burst=400 \
    --horizontal-pod-autoscaler-sync-period=2s --node-monitor-grace-period=20s --v=1
  start kube-scheduler kube-scheduler --kubeconfig="$PKI/scheduler.kubeconfig" \
    --authentication-kubeconfig="$PKI/scheduler.kubeconfig" --authorization-kubeconfig="$PKI/scheduler.kubeconfig" \
    --bind-address=127.0.0.1 --leader-elect=false --kube-api-qps=200 --kube-api-burst=400 --v=1
}
