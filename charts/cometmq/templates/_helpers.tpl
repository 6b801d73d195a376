{{/* Names. */}}
{{- define "cometmq.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* 40 letters at most: names of pods and services are made of it, and may have 63. */}}
{{- define "cometmq.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "cometmq.name" . }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "cometmq.serviceAccountName" -}}
{{- default (ternary (include "cometmq.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* Labels that never change: selectors are made of them. (dict "root" $ "component" "proxy") */}}
{{- define "cometmq.selector" -}}
app.kubernetes.io/name: {{ include "cometmq.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cometmq.labels" -}}
{{ include "cometmq.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: cometmq
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "cometmq.metadata" -}}
name: {{ include "cometmq.fullname" .root }}-{{ .name | default .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "cometmq.labels" . | nindent 2 }}
{{- end }}

{{/* (dict "image" .Values.image "tag" .Chart.AppVersion) */}}
{{- define "cometmq.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end }}

{{/* Where the parts find one another. */}}
{{- define "cometmq.host" -}}
{{ include "cometmq.fullname" .root }}-{{ .service }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{- define "cometmq.etcdEndpoints" -}}
{{- if .Values.etcd.enabled -}}
http://{{ include "cometmq.host" (dict "root" . "service" "etcd") }}:2379
{{- else -}}
{{ required "etcd.external.endpoints: must name at least one, as etcd.enabled is false" (join "," .Values.etcd.external.endpoints) }}
{{- end -}}
{{- end }}

{{- define "cometmq.etcdRoot" -}}
{{ .Values.etcd.root | default (printf "/cometmq/%s/%s/" .Release.Namespace (include "cometmq.fullname" .)) }}
{{- end }}

{{/* A pod's metadata. (dict "root" $ "component" "proxy" "values" .Values.proxy "more" (dict …)) */}}
{{- define "cometmq.podMetadata" -}}
labels:
  {{- include "cometmq.labels" . | nindent 2 }}
  {{- with .more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict }}
{{- if and .root.Values.metrics.annotations (ne .component "etcd") }}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" "5557" "prometheus.io/path" "/metrics" }}
{{- end }}
{{- with merge (dict) .values.podAnnotations $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What all pods have in common: nobody is root, nothing is writable but what is mounted, no API token. */}}
{{- define "cometmq.podCommon" -}}
serviceAccountName: {{ include "cometmq.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 3000
  runAsGroup: 3000
  fsGroup: 3000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .values }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Pods of one component stand in different zones and on different nodes where they can. */}}
{{- define "cometmq.spread" -}}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "cometmq.selector" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "cometmq.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* A setting as the programs read it: lists with commas, numbers without an exponent. */}}
{{- define "cometmq.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* A program of ours: image, role, settings, probes. (dict "root" $ "role" "proxy" "values" … "settings" (dict …)) */}}
{{- define "cometmq.program" -}}
name: {{ .role }}
image: {{ include "cometmq.image" (dict "image" .root.Values.image "tag" .root.Chart.AppVersion) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [/app/cometmq]
args: [{{ .role }}]
env:
  {{- if eq .role "broker" }}
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  {{- end }}
  {{- $own := merge (dict) .values.config .settings (dict "clusterName" (.root.Values.clusterName | default (include "cometmq.fullname" .root))) }}
  {{- range $name, $value := $own }}
  - name: COMETMQ_{{ $name | snakecase | upper }}
    value: {{ include "cometmq.text" $value | quote }}
  {{- end }}
  {{- with .values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "cometmq.containerSecurity" . | nindent 0 }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- end }}

{{/* Started: it answers. Alive: its event loop turns. Ready: it may serve its role. */}}
{{- define "cometmq.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 1
  failureThreshold: 120
livenessProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* Until the others have heard that this pod is leaving, it goes on serving. */}}
{{- define "cometmq.preStop" -}}
lifecycle:
  preStop:
    sleep:
      seconds: 5
{{- end }}

{{- define "cometmq.claim" -}}
- metadata:
    name: data
    labels:
      {{- include "cometmq.selector" . | nindent 6 }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .values.persistence.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .values.persistence.size }}
{{- end }}
