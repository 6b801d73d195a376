import { MqError } from '@cometmq/shared';

import type { KubernetesApi, KubernetesObject } from '../kubernetes/kubernetes-api.js';

/** Objects by their paths. What is created is kept in `created`. */
export class FakeKubernetes implements KubernetesApi {
  readonly namespace = 'mq';
  readonly objects = new Map<string, KubernetesObject>();
  readonly created: { readonly path: string; readonly object: KubernetesObject }[] = [];
  /** Thrown by every call while it is set. */
  fault: MqError | undefined;

  async get(path: string): Promise<KubernetesObject | undefined> {
    this.checkFault();
    return Promise.resolve(this.objects.get(path));
  }

  async patch(path: string, change: object): Promise<KubernetesObject> {
    this.checkFault();
    const object = this.objects.get(path);
    if (!object) throw new MqError('NOT_FOUND', `there is no ${path}`);
    const next = merged(object, change as KubernetesObject);
    this.objects.set(path, next);
    return Promise.resolve(next);
  }

  async create(path: string, object: object): Promise<void> {
    this.checkFault();
    this.created.push({ path, object: object as KubernetesObject });
    return Promise.resolve();
  }

  private checkFault(): void {
    if (this.fault) throw this.fault;
  }
}

/** What a merge patch makes of an object. */
export function merged(object: KubernetesObject, change: KubernetesObject): KubernetesObject {
  const all = new Map(Object.entries(object));
  for (const [name, value] of Object.entries(change)) {
    const before = all.get(name);
    if (value === null) all.delete(name);
    else if (isPlain(value)) all.set(name, merged(isPlain(before) ? before : {}, value));
    else all.set(name, value);
  }
  return Object.fromEntries(all);
}

function isPlain(value: unknown): value is KubernetesObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
