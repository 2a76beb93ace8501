// Nothing is built here: the manifests inside these modules are what the tests install.
module timbre.dev/cluster-tools/crds

go 1.26.0

require (
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
