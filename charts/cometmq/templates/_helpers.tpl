{{/* Names. */}}
{{- define "cometmq.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* 40 letters at most: names of pods and services are made of it, and may have 63. Services begin with a letter. */}}
{{- define "cometmq.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "cometmq.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- ternary (printf "mq-%s" $full) $full (regexMatch "^[0-9]" $full) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "cometmq.serviceAccountName" -}}
{{- default (ternary (include "cometmq.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* Who may ask Kubernetes has an account of its own. (dict "root" $ "component" "broker") */}}
{{- define "cometmq.accountOf" -}}
{{- $own := and .root.Values.serviceAccount.create (eq "true" (include "cometmq.asksKubernetes" .)) -}}
{{- printf "%s%s" (include "cometmq.serviceAccountName" .root) (ternary (printf "-%s" .component) "" $own) -}}
{{- end }}

{{/* "true" where a component asks Kubernetes. (dict "root" $ "component" "broker") */}}
{{- define "cometmq.asksKubernetes" -}}
{{- $forScaling := and .root.Values.broker.scaling.enabled (has .component (list "broker" "dashboard-api")) -}}
{{- if or $forScaling (and .root.Values.controller.enabled (eq .component "dashboard-api")) }}true{{ end -}}
{{- end }}

{{/* What is known of the numbers of broker sets. */}}
{{- define "cometmq.scalingNotes" -}}
{{- include "cometmq.fullname" . }}-scaling
{{- end }}

{{/* The token of the pod's account, for a program that asks Kubernetes. (dict "root" $ "context" … "settings" …) */}}
{{- define "cometmq.withKubernetes" -}}
{{- if include "cometmq.asksKubernetes" (dict "root" .root "component" .context.component) }}
{{- $token := dict "serviceAccountToken" (dict "path" "token" "expirationSeconds" 3600) }}
{{- $authority := dict "configMap" (dict "name" "kube-root-ca.crt" "items" (list (dict "key" "ca.crt" "path" "ca.crt"))) }}
{{- $namespace := dict "downwardAPI" (dict "items" (list (dict "path" "namespace" "fieldRef" (dict "fieldPath" "metadata.namespace")))) }}
{{- $volume := dict "name" "kubernetes" "projected" (dict "defaultMode" 0440 "sources" (list $token $authority $namespace)) }}
{{- $mount := dict "name" "kubernetes" "mountPath" "/kubernetes" "readOnly" true }}
{{- $_ := set .context "volumes" (append (.context.volumes | default list) $volume) }}
{{- $_ := set .context "mounts" (append (.context.mounts | default list) $mount) }}
{{- $_ := set .settings "kubernetesDir" "/kubernetes" }}
{{- end }}
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

{{/* (dict "root" $ "image" .Values.image "tag" .Chart.AppVersion) */}}
{{- define "cometmq.image" -}}
{{- $repository := .image.repository -}}
{{- with (.root.Values.global | default dict).imageRegistry -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^[^/]+[.:][^/]*/" $repository "") -}}
{{- end -}}
{{- if .image.digest -}}
{{ $repository }}@{{ .image.digest }}
{{- else -}}
{{ $repository }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end }}

{{/* The secret with the keys that users' secrets are sealed under, and the first admin. */}}
{{- define "cometmq.usersSecret" -}}
{{- .Values.users.existingSecret | default (printf "%s-users" (include "cometmq.fullname" .)) }}
{{- end }}

{{/* What a program that asks who calls is given, beside its own. (dict "root" $ "context" … "settings" …) */}}
{{- define "cometmq.withUsers" -}}
{{- if .root.Values.users.enabled }}
{{- $secret := dict "secretName" (include "cometmq.usersSecret" .root) "defaultMode" 0440 }}
{{- $volume := dict "name" "users" "secret" $secret }}
{{- $mount := dict "name" "users" "mountPath" "/users" "readOnly" true }}
{{- $_ := set .context "volumes" (append (.context.volumes | default list) $volume) }}
{{- $_ := set .context "mounts" (append (.context.mounts | default list) $mount) }}
{{- $_ := set .settings "secretKeyFile" "/users/keys" }}
{{- $_ := set .settings "adminSecretFile" "/users/admin" }}
{{- /* The file, the one before it, as much again while those can't be delivered to the audit topic, and one for how far they were. */}}
{{- $audit := .root.Values.audit }}
{{- $folder := dict "name" "audit" "emptyDir" (dict "sizeLimit" (printf "%dMi" (mul 5 (int $audit.fileMiB)))) }}
{{- $_ := set .context "volumes" (append .context.volumes $folder) }}
{{- $_ := set .context "mounts" (append .context.mounts (dict "name" "audit" "mountPath" "/audit")) }}
{{- $_ := set .settings "auditFile" "/audit/audit.jsonl" }}
{{- $_ := set .settings "auditFileBytesMax" (mul 1048576 (int $audit.fileMiB)) }}
{{- $_ := set .settings "auditTopic" $audit.topic }}
{{- else }}
{{- $_ := set .settings "insecure" true }}
{{- end }}
{{- end }}

{{/* What a broker is given to make backups, and to be restored from one. (dict "root" $ "context" … "settings" …) */}}
{{- define "cometmq.withBackup" -}}
{{- $context := .context }}
{{- $settings := .settings }}
{{- with .root.Values.backup }}
{{- if .to }}
{{- range $setting, $value := dict "backupTo" .to "backupEndpoint" .endpoint "backupRegion" .region "backupAddressing" .addressing "restoreFrom" .restoreFrom }}
{{- if $value }}
{{- $_ := set $settings $setting $value }}
{{- end }}
{{- end }}
{{- $variables := $context.variables | default list }}
{{- range $name, $key := dict "COMETMQ_BACKUP_ACCESS_KEY_ID" "accessKeyId" "COMETMQ_BACKUP_SECRET_KEY" "secretKey" }}
{{- $variables = append $variables (dict "name" $name "valueFrom" (dict "secretKeyRef" (dict "name" $.root.Values.backup.existingSecret "key" $key))) }}
{{- end }}
{{- if .caSecret }}
{{- $volume := dict "name" "backup-ca" "secret" (dict "secretName" .caSecret "defaultMode" 0440) }}
{{- $mount := dict "name" "backup-ca" "mountPath" "/backup-ca" "readOnly" true }}
{{- $_ := set $context "volumes" (append ($context.volumes | default list) $volume) }}
{{- $_ := set $context "mounts" (append ($context.mounts | default list) $mount) }}
{{- $variables = append $variables (dict "name" "NODE_EXTRA_CA_CERTS" "value" "/backup-ca/ca.crt") }}
{{- end }}
{{- $_ := set $context "variables" $variables }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of the bucket's server. */}}
{{- define "cometmq.bucketPort" -}}
{{- $server := urlParse (.Values.backup.endpoint | default "https://s3") }}
{{- $port := regexFind ":[0-9]+$" $server.host | trimPrefix ":" }}
{{- $port | default (ternary "80" "443" (eq $server.scheme "http")) }}
{{- end }}

{{/* The secret with a role's certificate between the programs. (dict "root" $ "role" "broker") */}}
{{- define "cometmq.tlsSecret" -}}
{{- .root.Values.internalTls.existingSecretPrefix | default (printf "%s-tls" (include "cometmq.fullname" .root)) }}-{{ .role }}
{{- end }}

{{/* What a program of ours is given to be known by the others. (dict "root" $ "role" … "context" … "settings" …) */}}
{{- define "cometmq.withInternalTls" -}}
{{- if .root.Values.internalTls.enabled }}
{{- $secret := dict "secretName" (include "cometmq.tlsSecret" .) "defaultMode" 0440 }}
{{- $_ := set .context "volumes" (append (.context.volumes | default list) (dict "name" "internal-tls" "secret" $secret)) }}
{{- $mount := dict "name" "internal-tls" "mountPath" "/internal-tls" "readOnly" true }}
{{- $_ := set .context "mounts" (append (.context.mounts | default list) $mount) }}
{{- range $setting, $file := dict "internalTlsCaFile" "ca.crt" "internalTlsCertFile" "tls.crt" "internalTlsKeyFile" "tls.key" }}
{{- $_ := set $.settings $setting (printf "/internal-tls/%s" $file) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Whether the members of etcd talk to one another by TLS. They keep each other's addresses with their data: those that were made
without stay without, by what the StatefulSet says, or after an uninstall by whether a certificate was kept beside the volumes.
*/}}
{{- define "cometmq.etcdPeerScheme" -}}
{{- $name := printf "%s-etcd" (include "cometmq.fullname" .) -}}
{{- $plain := not .Values.internalTls.enabled -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- $plain = contains "--listen-peer-urls=http://" (toJson .spec) -}}
{{- else -}}
{{- if not (lookup "v1" "Secret" .Release.Namespace (include "cometmq.tlsSecret" (dict "root" . "role" "etcd"))) -}}
{{- range (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "").items -}}
{{- if regexMatch (printf "^data-%s-[0-9]+$" $name) .metadata.name }}{{ $plain = true }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- ternary "http" "https" $plain -}}
{{- end }}

{{/* Where the parts find one another. */}}
{{- define "cometmq.host" -}}
{{ include "cometmq.fullname" .root }}-{{ .service }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{/* Each name server by an address of its own; and the one address of all, for when DNS still tells of those that were there before. */}}
{{- define "cometmq.namesrvAddresses" -}}
{{ include "cometmq.host" (dict "root" . "service" "namesrv-headless") }}:9876,{{ include "cometmq.host" (dict "root" . "service" "namesrv") }}:9876
{{- end }}

{{- define "cometmq.etcdEndpoints" -}}
{{- if .Values.etcd.enabled -}}
{{- /* Each by a name of its own: through one address for all of them a connection may lead to one whose node is lost. */ -}}
{{- $endpoints := list -}}
{{- range until (int .Values.etcd.replicas) -}}
{{- $host := printf "%s-etcd-%d.%s" (include "cometmq.fullname" $) . (include "cometmq.host" (dict "root" $ "service" "etcd-peers")) -}}
{{- $endpoints = append $endpoints (printf "%s://%s:2379" (ternary "https" "http" $.Values.internalTls.enabled) $host) -}}
{{- end -}}
{{ join "," $endpoints }}
{{- else -}}
{{ required "etcd.external.endpoints: must name at least one, as etcd.enabled is false" (join "," .Values.etcd.external.endpoints) }}
{{- end -}}
{{- end }}

{{/* "true" where the release's etcd has users: who calls it says by the common name of the certificate. */}}
{{- define "cometmq.etcdUsers" -}}
{{- if and .Values.etcd.enabled .Values.etcd.users.enabled .Values.internalTls.enabled (include "cometmq.certificatesHaveNames" .) }}true{{ end -}}
{{- end }}

{{/* "true" where name servers' certificates are known to have a common name of their own: the chart's do, and yours where you say so. */}}
{{- define "cometmq.certificatesHaveNames" -}}
{{- if or (not .Values.internalTls.existingSecretPrefix) .Values.etcd.users.ownCertificates }}true{{ end -}}
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
serviceAccountName: {{ include "cometmq.accountOf" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
  {{- range $name, $id := .root.Values.podSecurityContext }}
  {{- if not (kindIs "invalid" $id) }}
  {{ $name }}: {{ int $id }}
  {{- end }}
  {{- end }}
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
{{- end }}
{{- $apart := ternary (fromYaml ($.apart | default "")) (dict) (not (empty $.apart)) }}
{{- with merge (dict) (.values.affinity | default dict) $apart }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Volumes and init containers: our own and what the values add. (dict "values" … "volumes" (list …)) */}}
{{- define "cometmq.podExtras" -}}
{{- with .values.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (.volumes | default list) (.values.extraVolumes | default list) }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* (dict "values" … "mounts" (list …)) */}}
{{- define "cometmq.mounts" -}}
{{- with concat (.mounts | default list) (.values.extraVolumeMounts | default list) }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
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
image: {{ include "cometmq.image" (dict "root" .root "image" .root.Values.image "tag" .root.Chart.AppVersion) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [/app/cometmq]
args: [{{ .role }}]
env:
  {{- if eq .role "broker" }}
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_INDEX
    valueFrom:
      fieldRef:
        fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
  {{- end }}
  {{- $own := merge (dict) .values.config .settings (dict "clusterName" (.root.Values.clusterName | default (include "cometmq.fullname" .root))) }}
  {{- range $name, $value := $own }}
  - name: COMETMQ_{{ $name | snakecase | upper }}
    value: {{ include "cometmq.text" $value | quote }}
  {{- end }}
  {{- with .variables }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
# The last lines of the log say why it ended, and stand in the pod's status.
terminationMessagePolicy: FallbackToLogsOnError
{{- include "cometmq.containerSecurity" . | nindent 0 }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- end }}

{{/* Where `comet` in one of our containers finds the cluster, and who it is there. */}}
{{- define "cometmq.cometVariables" -}}
- name: COMET_API
  value: http://{{ include "cometmq.host" (dict "root" . "service" "dashboard-api") }}:{{ .Values.dashboardApi.service.port }}
- name: COMET_ENDPOINT
  value: {{ include "cometmq.host" (dict "root" . "service" "proxy") }}:{{ .Values.proxy.service.port }}
{{- if .Values.users.enabled }}
- name: COMET_SECRET_FILE
  value: /users/admin
{{- end }}
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

{{/*
A component without a state of its own. (dict "root" $ "component" "proxy" "role" "proxy" "values" .Values.proxy
"settings" (dict …) "ports" (dict "grpc" 8081) "volumes" (list …) "mounts" (list …) "scaled" true)
*/}}
{{- define "cometmq.deployment" -}}
{{- $name := printf "%s-%s" (include "cometmq.fullname" .root) .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "cometmq.metadata" . | nindent 2 }}
  annotations:
    cometmq/replicas: {{ .values.replicas | quote }}
spec:
  {{- if not .scaled }}
  replicas: {{ include "cometmq.replicas" (dict "root" .root "kind" "Deployment" "name" $name "value" .values.replicas) }}
  {{- end }}
  strategy:
    {{- toYaml .values.updateStrategy | nindent 4 }}
  selector:
    matchLabels:
      {{- include "cometmq.selector" . | nindent 6 }}
  template:
    metadata:
      {{- include "cometmq.podMetadata" . | nindent 6 }}
    spec:
      {{- include "cometmq.podCommon" . | nindent 6 }}
      {{- include "cometmq.spread" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
      containers:
        - {{- include "cometmq.program" . | nindent 10 }}
          ports:
            {{- range $port, $number := .ports }}
            - { name: {{ $port }}, containerPort: {{ $number }} }
            {{- end }}
            - { name: metrics, containerPort: 5557 }
          {{- include "cometmq.probes" . | nindent 10 }}
          {{- include "cometmq.preStop" . | nindent 10 }}
          {{- include "cometmq.mounts" . | nindent 10 }}
        {{- with .values.sidecars }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- include "cometmq.podExtras" . | nindent 6 }}
{{- end }}

{{/* How clients or people reach a component. (dict "root" $ "component" … "values" … "port" "grpc") */}}
{{- define "cometmq.service" -}}
{{- $service := .values.service -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "cometmq.metadata" . | nindent 2 }}
  {{- with $service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $service.type }}
  {{- if eq $service.type "LoadBalancer" }}
  {{- with $service.loadBalancerClass }}
  loadBalancerClass: {{ . }}
  {{- end }}
  {{- with $service.loadBalancerIP }}
  loadBalancerIP: {{ . }}
  {{- end }}
  {{- with $service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- if ne $service.type "ClusterIP" }}
  {{- with $service.externalTrafficPolicy }}
  externalTrafficPolicy: {{ . }}
  {{- end }}
  {{- end }}
  ports:
    - name: {{ .port }}
      port: {{ $service.port }}
      targetPort: {{ .port }}
      {{- if eq .port "grpc" }}
      appProtocol: kubernetes.io/h2c
      {{- end }}
      {{- with $service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
  selector:
    {{- include "cometmq.selector" . | nindent 4 }}
{{- end }}

{{/*
A claim's size is fixed in a StatefulSet: Kubernetes says no more than "Forbidden" when it is changed there.
(dict "root" $ "name" the StatefulSet's "size" … "value" "broker.persistence.size")
*/}}
{{- define "cometmq.refuseOtherSize" -}}
{{- $asked := . -}}
{{- with lookup "apps/v1" "StatefulSet" .root.Release.Namespace .name -}}
{{- range .spec.volumeClaimTemplates -}}
{{- $made := .spec.resources.requests.storage -}}
{{- if and (eq .metadata.name "data") (ne $made $asked.size) -}}
{{- fail (printf "%s: the volumes of %s were made with %s, and %s is asked for. A StatefulSet can't change that by itself: make the volumes larger first, then let the chart make the StatefulSet anew around them; docs/kubernetes.md, \"Larger volumes\", has the commands. Nothing was changed" $asked.value $asked.name $made $asked.size) -}}
{{- end -}}
{{- end -}}
{{- end -}}
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
