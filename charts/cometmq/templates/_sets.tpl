{{/*
Broker sets: how many there are, how many members each has, and in which places. A place is a StatefulSet; the ordinal of
its pods is the set: `broker-master-3` and `broker-slave-1-3` are two members of broker-3.
*/}}

{{/* A preset's figure, unless the value itself says one. (dict "root" $ "value" … "figure" "sets") */}}
{{- define "cometmq.preset" -}}
{{- $presets := dict
      "small" (dict "sets" 1 "members" 2 "antiAffinity" "preferred")
      "medium" (dict "sets" 2 "members" 3 "antiAffinity" "required")
      "large" (dict "sets" 3 "members" 3 "antiAffinity" "required") -}}
{{- if kindIs "invalid" .value -}}
{{- get (get $presets .root.Values.preset) .figure -}}
{{- else -}}
{{- .value -}}
{{- end -}}
{{- end }}

{{- define "cometmq.members" -}}
{{- include "cometmq.preset" (dict "root" . "value" .Values.broker.members "figure" "members") -}}
{{- end }}

{{/* The places' names, the leader's preferred one first, with commas. */}}
{{- define "cometmq.places" -}}
{{- $places := list "master" -}}
{{- range untilStep 1 (int (include "cometmq.members" .)) 1 -}}
{{- $places = append $places (printf "slave-%d" .) -}}
{{- end -}}
{{- join "," $places -}}
{{- end }}

{{/*
How many replicas: what the value says, unless it is as it was at the last change and somebody has scaled since
(kubectl scale, an autoscaler). Then it is theirs. (dict "root" $ "kind" "Deployment" "name" … "value" 2)
*/}}
{{- define "cometmq.replicas" -}}
{{- $replicas := int .value -}}
{{- with lookup "apps/v1" .kind .root.Release.Namespace .name -}}
{{- if eq (get (.metadata.annotations | default dict) "cometmq/replicas") (toString $.value) -}}
{{- $replicas = int .spec.replicas -}}
{{- end -}}
{{- end -}}
{{- $replicas -}}
{{- end }}

{{/* All places have the same number of sets; the chart adds sets and never takes one away. */}}
{{- define "cometmq.sets" -}}
{{- $sets := int (include "cometmq.preset" (dict "root" . "value" .Values.broker.sets "figure" "sets")) -}}
{{- $there := list -}}
{{- range splitList "," (include "cometmq.places" .) -}}
{{- with lookup "apps/v1" "StatefulSet" $.Release.Namespace (printf "%s-broker-%s" (include "cometmq.fullname" $) .) -}}
{{- $there = append $there (int .spec.replicas) -}}
{{- end -}}
{{- end -}}
{{- if gt (len (uniq $there)) 1 -}}
{{- fail (printf "broker: the StatefulSets of this release have %s replicas, and must all have the same, as the members of a set have the same ordinal. Scale them together: kubectl --namespace %s scale statefulset -l app.kubernetes.io/instance=%s,app.kubernetes.io/component=broker --replicas=%d" (join ", " $there) .Release.Namespace .Release.Name (int (max 0 (first $there)))) -}}
{{- end -}}
{{- if $there -}}
{{- $sets = max $sets (first $there) -}}
{{- end -}}
{{- $sets -}}
{{- end }}

{{/*
A place that is not rendered any more would be deleted, and a member of every set with it: of a set of three that has one more
away, the majority. A forgotten preset or value must not do that. Five is the most that the schema lets broker.members be.
*/}}
{{- define "cometmq.refuseFewerMembers" -}}
{{- $members := int (include "cometmq.members" .) -}}
{{- $there := $members -}}
{{- $highest := "" -}}
{{- range untilStep $members 5 1 -}}
{{- $name := printf "%s-broker-slave-%d" (include "cometmq.fullname" $) . -}}
{{- if lookup "apps/v1" "StatefulSet" $.Release.Namespace $name -}}
{{- $there = add1 . -}}
{{- $highest = $name -}}
{{- end -}}
{{- end -}}
{{- if $highest -}}
{{- fail (printf "broker.members: the broker sets of this release have %d members each (there is a StatefulSet %s), and %d are asked for. Every set would lose members at once, and could lose its majority. Keep broker.members=%d, or the preset that says so; or take places away one by one, see docs/kubernetes.md, \"Fewer members\". Nothing was changed" (int $there) $highest $members (int $there)) -}}
{{- end -}}
{{- end }}

{{/* Members of one set are on different nodes; of different sets, they may meet. */}}
{{- define "cometmq.apart" -}}
{{- $how := include "cometmq.preset" (dict "root" . "value" .Values.broker.antiAffinity "figure" "antiAffinity") -}}
{{- if gt (int (include "cometmq.members" .)) 1 -}}
{{- include "cometmq.apartFrom" (dict "root" . "component" "broker" "how" $how "alike" (list "apps.kubernetes.io/pod-index")) -}}
{{- end -}}
{{- end }}

{{/* Pods of a component on different nodes, where they are alike in these labels. */}}
{{- define "cometmq.apartFrom" -}}
{{- $term := dict
      "topologyKey" "kubernetes.io/hostname"
      "labelSelector" (dict "matchLabels" (fromYaml (include "cometmq.selector" .))) -}}
{{- with .alike }}{{ $_ := set $term "matchLabelKeys" . }}{{ end -}}
{{- if eq .how "required" -}}
{{- toYaml (dict "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term))) -}}
{{- else if eq .how "preferred" -}}
{{- toYaml (dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term)))) -}}
{{- end -}}
{{- end }}

{{/* Releases of 0.1.0 had a StatefulSet a set; their volumes have other names. */}}
{{- define "cometmq.refuseOlderLayout" -}}
{{- $older := printf "%s-broker-0" (include "cometmq.fullname" .) -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace $older -}}
{{- fail (printf "this release was made by a chart that had one StatefulSet a broker set (%s); this one has one for each place in a set. Its volumes can be taken over: see docs/kubernetes.md, \"From 0.1.0\". Nothing was changed" $older) -}}
{{- end -}}
{{- end }}

{{/*
What the chart itself must know can't be set behind its back: what it says to each program, and the addresses and ports that its
probes and Services lead to. By the names of each program's settings, as JSON.
*/}}
{{- define "cometmq.ownSettings" -}}
{{- $all := list "clusterName" "metricsHost" "metricsPort" "internalTlsCertFile" "internalTlsKeyFile" "internalTlsCaFile" -}}
{{- dict
      "broker" (concat $all (list "brokerName" "memberName" "membersWanted" "durability" "restartWaitMs" "scaleInWaitMs" "kubernetesDir" "podName" "dataDir" "advertisedAddress" "namesrvAddresses" "host" "port"))
      "namesrv" (concat $all (list "etcdEndpoints" "etcdRoot" "etcdCaFile" "etcdCertFile" "etcdKeyFile" "etcdUser" "etcdPassword" "host" "port"))
      "proxy" (concat $all (list "namesrvAddresses" "tlsCertFile" "tlsKeyFile" "proxyHost" "proxyPort"))
      "dashboardApi" (concat $all (list "kubernetesDir" "scalingSelector" "scalingNotes" "scaleInHeldMax" "namesrvAddresses" "adminHost" "adminPort"))
    | toJson -}}
{{- end }}

{{- define "cometmq.refuseOwnSettings" -}}
{{- range $component, $names := fromJson (include "cometmq.ownSettings" .) -}}
{{- range $names -}}
{{- if hasKey (get $.Values $component).config . -}}
{{- fail (printf "%s.config.%s: the chart sets it, from other values, or has probes and Services that lead to it" $component .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
