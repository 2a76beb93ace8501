{{/* Name of the operator's objects: at most 63 characters and no dot, for a Service has it. A release's name has at most 53. */}}
{{- define "timbre.fullname" -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name $release -}}
{{- printf "%s-operator" $release -}}
{{- else -}}
{{- printf "%s-timbre-operator" ($release | trunc 47 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* Labels that select the operator's pods. Not the name "timbre": services have that one, and one may be called as the release. */}}
{{- define "timbre.selector" -}}
app.kubernetes.io/name: timbre-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "timbre.labels" -}}
{{ include "timbre.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: timbre
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "timbre.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "timbre.fullname" .) -}}
{{- end -}}

{{/* Namespaces that are looked after, as a JSON list; empty: all. */}}
{{- define "timbre.namespaces" -}}
{{- if eq .Values.scope "Namespaced" -}}
{{- .Values.namespaces | default (list .Release.Namespace) | uniq | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{- define "timbre.operatorImage" -}}
{{- .Values.images.operator | default (printf "ghcr.io/timbre-dev/timbre-operator:%s" .Chart.AppVersion) -}}
{{- end -}}

{{- define "timbre.serverImage" -}}
{{- .Values.images.server | default (printf "ghcr.io/timbre-dev/timbre-server:%s" .Chart.AppVersion) -}}
{{- end -}}

{{- define "timbre.torchImage" -}}
{{- .Values.images.torch | default (printf "ghcr.io/timbre-dev/timbre-server:%s-torch" .Chart.AppVersion) -}}
{{- end -}}

{{/* Where the operator serves series to KEDA. */}}
{{- define "timbre.metricsUrl" -}}
{{- printf "http://%s.%s.svc:8080" (include "timbre.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* Name under which the metrics API is reached, and for which its certificate must be. */}}
{{- define "timbre.metricsHost" -}}
{{- printf "%s.%s.svc" (include "timbre.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "timbre.certificateSecret" -}}
{{- if eq .Values.metricsApi.certificate.source "Secret" -}}
{{- .Values.metricsApi.certificate.secretName -}}
{{- else -}}
{{- printf "%s-metrics-api" (include "timbre.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* "true" where an object of the Prometheus operator is to be made. Takes a dict of root, choice and kind. */}}
{{- define "timbre.monitored" -}}
{{- $here := .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) -}}
{{- if or (eq .choice "Enabled") (and (eq .choice "Auto") $here) -}}true{{- end -}}
{{- end -}}
