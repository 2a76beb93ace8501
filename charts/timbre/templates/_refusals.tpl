{{/* What cannot be installed, each with the sentence that says what to do. NOTES.txt is never reached then. */}}
{{- define "timbre.refuse" -}}
{{- if and (eq .Values.scope "Cluster") .Values.namespaces -}}
{{- fail "namespaces is written and scope is Cluster, which looks after all of them: write scope=Namespaced, or remove namespaces." -}}
{{- end -}}
{{- $fullname := include "timbre.fullname" . -}}
{{- if regexMatch "^[0-9]" $fullname -}}
{{- fail (printf "%s begins with a digit, which the name of a Service may not: write fullnameOverride." $fullname) -}}
{{- end -}}
{{- $written := include "timbre.labels" . | fromYaml -}}
{{- range $value, $labels := dict "podLabels" .Values.podLabels "monitoring.labels" .Values.monitoring.labels "dashboards.labels" .Values.dashboards.labels -}}
{{- range $label, $_ := $labels -}}
{{- if hasKey $written $label -}}
{{- fail (printf "%s has %s, which the chart writes itself: remove it." $value $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $certificate := .Values.metricsApi.certificate -}}
{{- if .Values.metricsApi.enabled -}}
{{- if and (ne $certificate.source "Secret") (or $certificate.secretName $certificate.caBundle) -}}
{{- fail "metricsApi.certificate.secretName and caBundle count with source=Secret alone: write that, or remove them." -}}
{{- end -}}
{{- if and (ne $certificate.source "CertManager") $certificate.issuerRef -}}
{{- fail "metricsApi.certificate.issuerRef counts with source=CertManager alone: write that, or remove it." -}}
{{- end -}}
{{- if and $certificate.issuerRef (not $certificate.issuerRef.name) -}}
{{- fail "metricsApi.certificate.issuerRef has no name: write that of your Issuer or ClusterIssuer, or remove it for a self-signed certificate." -}}
{{- end -}}
{{- if and (eq $certificate.source "Secret") (not (and $certificate.secretName $certificate.caBundle)) -}}
{{- fail "metricsApi.certificate.source is Secret: write metricsApi.certificate.secretName and metricsApi.certificate.caBundle too." -}}
{{- end -}}
{{- range $version := list "v1beta2" "v1beta1" -}}
{{- $name := printf "%s.custom.metrics.k8s.io" $version -}}
{{- with lookup "apiregistration.k8s.io/v1" "APIService" "" $name -}}
{{- $annotations := .metadata.annotations | default dict -}}
{{- $ours := and (eq (get $annotations "meta.helm.sh/release-name") $.Release.Name) (eq (get $annotations "meta.helm.sh/release-namespace") $.Release.Namespace) -}}
{{- if not $ours -}}
{{- $service := .spec.service | default dict -}}
{{- $server := printf "the Service %s/%s" (get $service "namespace") (get $service "name") -}}
{{- if not $service -}}{{- $server = "the API server itself" -}}{{- end -}}
{{- fail (printf "the APIService %s is there already and is served by %s; a cluster has one server of custom metrics, and this chart never takes over another's. Install with --set metricsApi.enabled=false, and let that server serve Timbre's series (docs/autoscaling.md has the rules for prometheus-adapter) or scale with KEDA (autoscaling.class: KEDA); or remove the other server, with its APIServices, first." $name $server) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
