/**
 * Which releases of the chart look after resources in this namespace, and whose a resource is. Each of them has a Lease with the
 * chart's labels. A resource may name its release; one that does not is of the release that had it first, or of the only one there
 * is. So of two releases never both act on one resource.
 */
import { fieldOf, type KubernetesApi, type KubernetesObject } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import type { Verdict } from './plan.js';
import type { Resource } from './resource.js';

const labels = {
  instance: 'app.kubernetes.io/instance',
  selector: 'app.kubernetes.io/part-of=cometmq,app.kubernetes.io/component=dashboard-api',
} as const;

/** Nothing else tells of another release that has come or gone. */
const lookAgainMs = 10_000;

export type Claim = 'ours' | 'others' | Verdict;

/** The releases of a namespace at one time. */
export class Releases {
  private constructor(
    readonly own: string,
    private readonly names: readonly string[],
  ) {}

  /** @param lease of this release @throws MqError where they can't be read */
  static async look(kubernetes: KubernetesApi, lease: string): Promise<Releases> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${kubernetes.namespace}/leases`;
    const found = await kubernetes.get(`${path}?labelSelector=${encodeURIComponent(labels.selector)}`);
    const items = found?.['items'];
    if (!Array.isArray(items)) throw new MqError('UNAVAILABLE', 'Kubernetes has answered no list of leases');
    const releases = new Map(items.map((item: KubernetesObject) => [nameOf(item), releaseOf(item)]));
    const own = releases.get(lease) ?? lease; // It was made by hand.
    return new Releases(own, [...new Set([...releases.values(), own])].sort());
  }

  /** No other looks after resources here. */
  get isAlone(): boolean {
    return this.names.length === 1;
  }

  equals({ own, names }: Releases): boolean {
    return own === this.own && names.join('\n') === this.names.join('\n');
  }

  /** Whose it is; where it is nobody's, one of the releases says so. */
  claimOf({ spec, status }: Resource): Claim {
    const { own, names } = this;
    const [first] = names;
    const named = spec['release'];
    if (typeof named === 'string') {
      if (named === own) return 'ours';
      if (names.includes(named) || own !== first) return 'others';
      const message = `release "${named}" does not look after resources in this namespace (controller.enabled); there is ${names.join(', ')}`;
      return { ready: false, reason: 'ReleaseNotFound', message, againMs: lookAgainMs };
    }
    const { release: had } = status;
    if (had === own) return 'ours';
    if (had !== undefined) {
      if (names.includes(had) || own !== first) return 'others';
      // For a moment, maybe: taken over it would stay here.
      const message = `release "${had}" has it, and does not look after resources in this namespace now: set spec.release to give it to ${names.join(' or ')}`;
      return { ready: false, reason: 'ReleaseAway', message, againMs: lookAgainMs };
    }
    if (this.isAlone) return 'ours';
    if (own !== first) return 'others';
    const message = `several releases look after resources in this namespace: set spec.release to one of ${names.join(', ')}`;
    return { ready: false, reason: 'ReleaseNotNamed', message, againMs: lookAgainMs };
  }
}

function nameOf(object: KubernetesObject): string {
  const name = fieldOf(object, 'metadata', 'name');
  return typeof name === 'string' ? name : '';
}

function releaseOf(object: KubernetesObject): string {
  const release = fieldOf(object, 'metadata', 'labels', labels.instance);
  return typeof release === 'string' && release !== '' ? release : nameOf(object);
}
