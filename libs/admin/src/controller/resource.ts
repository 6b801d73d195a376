/** A custom resource as Kubernetes gives it, each field looked at before it is believed. */
import { fieldOf, isObject, type KubernetesObject } from '@cometmq/rpc';

export const apiGroup = 'cometmq.io';
export const apiVersion = 'v1alpha1';
export const finalizer = 'cometmq.io/controller';

export interface Resource {
  readonly name: string;
  readonly uid: string;
  readonly version: string;
  readonly generation: number;
  readonly createdMs: number;
  readonly deleting: boolean;
  readonly finalizers: readonly string[];
  readonly annotations: KubernetesObject;
  readonly spec: KubernetesObject;
  readonly status: Status;
}

export interface Status {
  readonly observedGeneration: number | undefined;
  /** Identity of the topic, group or user that is its own. */
  readonly id: number | undefined;
  /** The release that it is of, whose cluster has it. */
  readonly release: string | undefined;
  readonly ready: Condition | undefined;
}

export interface Condition {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

export function resourceOf(object: KubernetesObject): Resource {
  const metadata = (name: string): unknown => fieldOf(object, 'metadata', name);
  const finalizers = metadata('finalizers');
  const status = (name: string): number | undefined => numberIn(fieldOf(object, 'status', name));
  return {
    name: text(metadata('name')),
    uid: text(metadata('uid')),
    version: text(metadata('resourceVersion')),
    generation: numberIn(metadata('generation')) ?? 0,
    createdMs: Date.parse(text(metadata('creationTimestamp'))) || 0,
    deleting: metadata('deletionTimestamp') !== undefined,
    finalizers: Array.isArray(finalizers) ? finalizers.filter((each) => typeof each === 'string') : [],
    annotations: objectIn(metadata('annotations')),
    spec: objectIn(object['spec']),
    status: {
      observedGeneration: status('observedGeneration'),
      id: status('id'),
      release: text(fieldOf(object, 'status', 'release')) || undefined,
      ready: readyOf(object),
    },
  };
}

function readyOf(object: KubernetesObject): Condition | undefined {
  const conditions = fieldOf(object, 'status', 'conditions');
  const found: unknown = (Array.isArray(conditions) ? conditions : []).find(
    (each) => fieldOf(each, 'type') === 'Ready',
  );
  if (!isObject(found)) return undefined;
  const [status, reason, message, lastTransitionTime] = ['status', 'reason', 'message', 'lastTransitionTime'].map(
    (name) => text(found[name]),
  ) as [string, string, string, string];
  return { status, reason, message, lastTransitionTime };
}

/** Which release looks at a resource, and whether there is no other. */
export interface Viewer {
  readonly own: string;
  readonly isAlone: boolean;
}

/**
 * As this release sees it: what another one's cluster has is none of its own. An identity without a release may be of any of
 * several: identities are small numbers, and in another cluster one is somebody else's. What is there is adopted by word then.
 */
export function asSeenBy({ own, isAlone }: Viewer, resource: Resource): Resource {
  const { status } = resource;
  if (status.release === own || (status.release === undefined && isAlone)) return resource;
  return { ...resource, status: { ...status, id: undefined, observedGeneration: undefined } };
}

/** An annotation that says yes. */
export function says(resource: Resource, annotation: string): boolean {
  return resource.annotations[annotation] === 'true';
}

/** Whose wish for a name counts where there are several: the older one's. */
export function isOlder(one: Resource, other: Resource): boolean {
  return one.createdMs === other.createdMs ? one.uid < other.uid : one.createdMs < other.createdMs;
}

function objectIn(value: unknown): KubernetesObject {
  return isObject(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function numberIn(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
