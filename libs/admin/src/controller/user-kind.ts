/**
 * Users, each with a Secret that has its access key and secret. The Secret is what counts: it is written before the user is made,
 * and the user is given what stands in it, so that no crash between the two leaves a secret that nobody knows.
 */
import { isDeepStrictEqual } from 'node:util';

import { newSecret, Secret, secretText } from '@cometmq/auth';
import type { PolicyEntry, UserKind as KindOfUser, UserQuota } from '@cometmq/model';
import { fieldOf, isObject, type KubernetesApi, type KubernetesObject } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { identityOf, type AdminContext, type AdminIdentity } from '../api/context.js';
import { entriesOf, type PolicyBody, type Templates } from '../api/user-drafts.js';
import { policyView } from '../reports/user-report.js';
import { within } from '../within.js';
import { nameIn, type Kind, type Look } from './kinds.js';
import { annotations, type Difference } from './plan.js';
import { apiGroup, apiVersion, says, type Resource } from './resource.js';
import { userSpec } from './spec-schemas.js';

interface UserSpec extends Templates {
  readonly kind?: KindOfUser;
  readonly enabled?: boolean;
  readonly quota?: UserQuota;
  readonly policies?: readonly PolicyBody[];
  readonly secretName?: string;
}

/** The Secret of a resource as it is. */
type Held =
  | { readonly is: 'absent' | 'foreign' }
  | { readonly is: 'ours'; readonly secret: Secret | undefined; readonly accessKey: string; readonly rotated: string };

/** Which value of the resource's annotation the secret in a Secret was made for. */
const rotatedFor = 'cometmq.io/rotated';
const shownMsMax = 1_000;

export class UserKind implements Kind {
  readonly kind = 'CometUser';
  readonly plural = 'cometusers';
  readonly noun = 'user';
  readonly schema = userSpec;

  constructor(
    private readonly context: AdminContext,
    private readonly kubernetes: KubernetesApi,
  ) {}

  fault(resource: Resource): string | undefined {
    try {
      entriesOf(specOf(resource));
      return undefined;
    } catch (caught) {
      return MqError.from(caught).reason;
    }
  }

  async look(resource: Resource): Promise<Look> {
    const { book } = this.identity();
    book.checkReady();
    const name = nameIn(resource);
    const user = book.user(name);
    const held = await this.held(resource);
    const { id } = resource.status;
    const known = user && book.secretOf(name);
    const isSame = held.is === 'ours' && held.secret !== undefined && known?.reveal() === held.secret.reveal();
    const secretName = secretNameOf(resource);
    const message = `there is a Secret ${secretName} that is not of this resource; name another one in spec.secretName`;
    return {
      found: user && { identity: user.createdMs, differences: this.differences(resource, isSame), adoptable: false },
      // Made, and this process stopped before it could say so.
      owned: id ?? (isSame ? user?.createdMs : undefined),
      blocked: held.is === 'foreign' ? { ready: false, reason: 'SecretExists', message, againMs: 10_000 } : undefined,
      unprepared: held.is !== 'ours' || this.staleness(resource, held) !== undefined,
    };
  }

  async prepare(resource: Resource): Promise<string> {
    const { book } = this.identity();
    const held = await this.held(resource);
    const rotation = rotationOf(resource);
    const user = book.user(nameIn(resource));
    const stale = held.is === 'ours' ? this.staleness(resource, held) : undefined;
    const isOurs = user !== undefined && (user.createdMs === resource.status.id || says(resource, annotations.adopt));
    // Clients go on with the one that they have, unless another one is asked for.
    const known = isOurs && stale !== 'rotation' ? book.secretOf(nameIn(resource)) : undefined;
    const secret = known ?? newSecret();
    const name = secretNameOf(resource);
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const data = { accessKey: base64(nameIn(resource)), secretKey: base64(secret.reveal()) };
    const noted = { annotations: { [rotatedFor]: rotation } };
    if (held.is === 'ours') {
      await this.kubernetes.patch(this.path(name), { metadata: noted, data });
      return stale === 'rotation'
        ? `a new secret is in Secret ${name}`
        : `Secret ${name} was changed, and is as before`;
    }
    await this.kubernetes.create(this.path(), {
      ...{ apiVersion: 'v1', kind: 'Secret', type: 'Opaque', data },
      metadata: {
        ...{ name, namespace: this.kubernetes.namespace, ...noted },
        labels: { 'app.kubernetes.io/managed-by': 'cometmq' },
        ownerReferences: [
          {
            ...{ apiVersion: `${apiGroup}/${apiVersion}`, kind: this.kind, name: resource.name },
            ...{ uid: resource.uid, controller: true },
          },
        ],
      },
    });
    return `access key and secret are in Secret ${name}`;
  }

  async create(resource: Resource): Promise<number> {
    const { service, book, box } = this.identity();
    const name = nameIn(resource);
    const { kind = 'normal', enabled = true, quota } = specOf(resource);
    const secret = box.seal(await this.secret(resource), name);
    const made = await this.ask(service.createUser({ name, kind, enabled, secret, quota }));
    await book.until(() => book.user(name) !== undefined, shownMsMax).catch(() => undefined);
    await this.setPolicies(name, entriesOf(specOf(resource)));
    return made.createdMs;
  }

  async change(resource: Resource, fields: readonly string[]): Promise<readonly string[]> {
    const { service, book, box } = this.identity();
    const name = nameIn(resource);
    const { kind = 'normal', enabled = true, quota } = specOf(resource);
    const isAny = fields.some((field) => field !== 'policies');
    if (isAny) {
      const secret = fields.includes('secret') ? { secret: box.seal(await this.secret(resource), name) } : {};
      const changed = await this.ask(service.updateUser(name, { kind, enabled, quota, ...secret }));
      const isShown = (): boolean => {
        const user = book.user(name);
        return user?.secret.box === changed.secret.box && user.kind === kind && user.enabled === enabled;
      };
      await book.until(isShown, shownMsMax).catch(() => undefined);
    }
    if (fields.includes('policies')) await this.setPolicies(name, entriesOf(specOf(resource)));
    return fields;
  }

  async delete(resource: Resource): Promise<void> {
    const { service, book } = this.identity();
    const name = nameIn(resource);
    await this.ask(service.deleteUser(name));
    await book.until(() => book.user(name) === undefined, shownMsMax).catch(() => undefined);
  }

  backlog(): Promise<string> {
    return Promise.resolve('');
  }

  private differences(resource: Resource, isSameSecret: boolean): Difference[] {
    const { book } = this.identity();
    const name = nameIn(resource);
    const user = book.user(name);
    const { kind = 'normal', enabled = true, quota } = specOf(resource);
    const differences: Difference[] = [];
    const compare = (field: string, is: unknown, wanted: unknown): void => {
      if (!isDeepStrictEqual(is, wanted)) differences.push({ field, is, wanted });
    };
    compare('kind', user?.kind, kind);
    compare('enabled', user?.enabled, enabled);
    if (quota) compare('quota', { ...user?.quota }, { ...quota });
    const entries = book.policiesOf(name)?.entries ?? [];
    compare('policies', entries.map(policyView), entriesOf(specOf(resource)).map(policyView));
    if (!isSameSecret) differences.push({ field: 'secret', is: 'another', wanted: 'that of the Secret' });
    return differences;
  }

  /** Why what stands in the Secret is to be written again. */
  private staleness(resource: Resource, held: Extract<Held, { is: 'ours' }>): 'rotation' | 'content' | undefined {
    if (rotationOf(resource) !== '' && rotationOf(resource) !== held.rotated) return 'rotation';
    return held.secret === undefined || held.accessKey !== nameIn(resource) ? 'content' : undefined;
  }

  /** What stands in the resource's Secret. */
  private async secret(resource: Resource): Promise<Secret> {
    const held = await this.held(resource);
    if (held.is === 'ours' && held.secret) return held.secret;
    throw new MqError('CONFLICT', `Secret ${secretNameOf(resource)} has changed a moment ago`);
  }

  private async held(resource: Resource): Promise<Held> {
    const found = await this.kubernetes.get(this.path(secretNameOf(resource)));
    if (!found) return { is: 'absent' };
    if (!isOwnedBy(found, resource)) return { is: 'foreign' };
    const decoded = (field: string): string => {
      const value = fieldOf(found, 'data', field);
      return typeof value === 'string' ? Buffer.from(value, 'base64').toString() : '';
    };
    const rotated = fieldOf(found, 'metadata', 'annotations', rotatedFor);
    const secret = validSecret(decoded('secretKey'));
    return { is: 'ours', secret, accessKey: decoded('accessKey'), rotated: typeof rotated === 'string' ? rotated : '' };
  }

  private async setPolicies(user: string, entries: readonly PolicyEntry[]): Promise<void> {
    const { service, book } = this.identity();
    const before = book.policiesOf(user);
    if (entries.length === 0 && (before?.entries ?? []).length === 0) return;
    await this.ask(service.setPolicies({ user, entries }));
    await book.until(() => book.policiesOf(user) !== before, shownMsMax).catch(() => undefined);
  }

  private identity(): AdminIdentity {
    return identityOf(this.context);
  }

  private ask<T>(asked: Promise<T>): Promise<T> {
    return within(this.context.clock, this.context.requestMsMax, 'the name service', asked);
  }

  private path(name?: string): string {
    const all = `/api/v1/namespaces/${this.kubernetes.namespace}/secrets`;
    return name === undefined ? all : `${all}/${name}`;
  }
}

function specOf({ spec }: Resource): UserSpec {
  return spec;
}

function secretNameOf(resource: Resource): string {
  return specOf(resource).secretName ?? resource.name;
}

function rotationOf({ annotations: given }: Resource): string {
  const value = given[annotations.rotate];
  return typeof value === 'string' ? value : '';
}

function isOwnedBy(secret: KubernetesObject, { uid }: Resource): boolean {
  const owners = fieldOf(secret, 'metadata', 'ownerReferences');
  return Array.isArray(owners) && owners.some((owner) => isObject(owner) && owner['uid'] === uid);
}

function validSecret(text: string): Secret | undefined {
  try {
    return new Secret(secretText(text));
  } catch {
    return undefined;
  }
}
