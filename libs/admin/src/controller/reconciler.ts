/** One resource at a time: looks, does the next step, looks again, until there is nothing left to do; then says how it is. */
import type { AuditLog } from '@cometmq/auth';
import type { KubernetesApi, KubernetesObject } from '@cometmq/rpc';
import { failureFacts, MqError, type Clock } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import { askerOf, nameIn, type Kind, type Look } from './kinds.js';
import {
  annotations,
  backlogReason,
  deletingReason,
  changeText,
  differenceText,
  nextStep,
  type Facts,
  type Step,
  type Verdict,
} from './plan.js';
import { apiGroup, apiVersion, asSeenBy, finalizer, resourceOf, says, type Resource, type Viewer } from './resource.js';
import { specFault } from './spec-check.js';

export interface ReconcilerOptions {
  readonly kubernetes: KubernetesApi;
  readonly clock: Clock;
  readonly log: Logger;
  readonly audit: AuditLog | undefined;
  /** @throws MqError where this process may not write any more */
  readonly checkLead: () => void;
  /** The name of an older resource of the kind that asks for the same name. */
  readonly rivalOf: (kind: Kind, resource: Resource) => string | undefined;
  /** What a write has answered. */
  readonly written: (kind: Kind, object: KubernetesObject) => void;
}

/** More than any way from nothing to ready, or to gone, has. */
const stepsMax = 12;
/** When a resource has changed meanwhile: by then the watch has told so. */
const changedMs = 500;
const messageLengthMax = 1_000;

export class Reconciler {
  constructor(private readonly options: ReconcilerOptions) {}

  /** @returns after how long to look again though nothing tells */
  reconcile(kind: Kind, object: KubernetesObject, viewer: Viewer): Promise<number | undefined> {
    const resource = asSeenBy(viewer, resourceOf(object));
    const state = {
      viewer,
      release: viewer.own,
      resource,
      owned: resource.status.id,
      backlog: undefined,
      changed: undefined,
    };
    return this.attempt(kind, state, () => this.advance(kind, state));
  }

  /** It is nobody's, and is told so. */
  refuse(kind: Kind, object: KubernetesObject, verdict: Verdict): Promise<number | undefined> {
    const resource = resourceOf(object);
    const { id: owned, release } = resource.status;
    const state = { viewer: undefined, release, resource, owned, backlog: undefined, changed: undefined };
    return this.attempt(kind, state, async () => {
      await this.say(kind, state, verdict);
      return verdict.againMs;
    });
  }

  private async attempt(kind: Kind, state: State, act: () => Promise<number | undefined>): Promise<number | undefined> {
    try {
      return await act();
    } catch (caught) {
      const error = MqError.from(caught);
      // Of a write to the resource itself: it has changed, and comes again.
      if (caught instanceof OwnWrite && caught.code === 'CONFLICT') return changedMs;
      if (caught instanceof OwnWrite && caught.code === 'NOT_FOUND') return undefined;
      if (caught instanceof OwnWrite || error.code === 'CANCELLED') throw error;
      const reason = reasonOf(error);
      await this.say(kind, state, { ready: false, reason, message: error.reason }).catch(() => undefined);
      throw error;
    }
  }

  private async advance(kind: Kind, state: State): Promise<number | undefined> {
    for (let steps = 0; steps < stepsMax; steps += 1) {
      const fault = specFault(kind.schema, state.resource.spec) ?? kind.fault?.(state.resource);
      const look = await this.look(kind, state.resource, fault);
      state.owned ??= look.owned;
      const step = nextStep(this.facts(kind, state, look, fault));
      if (step.do === 'nothing') return undefined;
      if (step.do === 'say') {
        await this.say(kind, state, step);
        return step.againMs;
      }
      if ((await this.perform(kind, state, look, step)) === 'gone') return undefined;
    }
    throw new MqError('CONFLICT', `somebody else changes it all the time`);
  }

  /** Of what can't be understood its name counts, and only where it is deleted. */
  private look(kind: Kind, resource: Resource, fault: string | undefined): Promise<Look> {
    if (fault === undefined) return kind.look(resource);
    if (!resource.deleting) return Promise.resolve({ found: undefined });
    return kind.look({ ...resource, spec: { name: nameIn(resource) } });
  }

  private facts(kind: Kind, { resource, owned, backlog }: State, look: Look, fault: string | undefined): Facts {
    const { observedGeneration, ready } = resource.status;
    return {
      what: `${kind.noun} "${nameIn(resource)}"`,
      settled: ready?.status === 'True' && observedGeneration === resource.generation,
      deleting: resource.deleting,
      hasFinalizer: resource.finalizers.includes(finalizer),
      fault,
      rival: this.options.rivalOf(kind, resource),
      owned,
      found: look.found,
      restorable: look.restorable ?? false,
      blocked: look.blocked,
      unprepared: look.unprepared ?? false,
      adopts: says(resource, annotations.adopt),
      keeps: resource.spec['deletionPolicy'] === 'keep',
      deletesWithBacklog: says(resource, annotations.deleteWithBacklog),
      settling: kind.settles === true && ready?.reason !== deletingReason && ready?.reason !== backlogReason,
      backlog,
    };
  }

  /** @returns gone: there is nothing more to say of it */
  private async perform(
    kind: Kind,
    state: State,
    { found }: Look,
    step: Exclude<Step, { do: 'say' } | { do: 'nothing' }>,
  ): Promise<'gone' | undefined> {
    const { resource } = state;
    this.options.checkLead();
    switch (step.do) {
      case 'addFinalizer':
        state.resource = await this.setFinalizers(kind, state, [...resource.finalizers, finalizer]);
        return undefined;
      case 'removeFinalizer': {
        const others = resource.finalizers.filter((each) => each !== finalizer);
        await this.setFinalizers(kind, state, others);
        return 'gone';
      }
      case 'count':
        state.backlog = await kind.backlog(resource, state.owned ?? 0);
        return undefined;
      case 'prepare':
        await this.tell(kind, resource, 'Normal', 'SecretWritten', (await kind.prepare?.(resource)) ?? '');
        return undefined;
      case 'create':
        state.owned = await this.change(kind, resource, 'create', () => kind.create(resource));
        await this.tell(kind, resource, 'Normal', 'Created', `${kind.noun} "${nameIn(resource)}" was created`);
        return undefined;
      case 'restore': {
        const identity = state.owned ?? 0;
        await this.change(kind, resource, 'restore', async () => kind.restore?.(resource, identity));
        const said = `${kind.noun} "${nameIn(resource)}" was deleted by somebody else, and was restored with all that it held`;
        await this.tell(kind, resource, 'Warning', 'Restored', said);
        return undefined;
      }
      case 'adopt': {
        state.owned = found?.identity;
        const said = `${kind.noun} "${nameIn(resource)}" was there already, and belongs to this resource from now on`;
        await this.tell(kind, resource, 'Normal', 'Adopted', said);
        return undefined;
      }
      case 'change': {
        const fields = step.differences.map(({ field }) => field);
        const said = differenceText(step.differences);
        // It would be changed for ever.
        if (said === state.changed) throw new MqError('CONFLICT', `${said}, also after it was changed`);
        state.changed = said;
        const changed = await this.change(kind, resource, 'update', () => kind.change(resource, fields), fields);
        const text = changeText(
          step.differences.filter(({ field }) => changed.includes(field)),
          step.drift,
        );
        if (step.drift)
          await this.tell(kind, resource, 'Warning', 'DriftRepaired', `somebody else changed it: ${text}`);
        else await this.tell(kind, resource, 'Normal', 'Updated', text);
        return undefined;
      }
      case 'delete': {
        const identity = state.owned ?? 0;
        await this.change(kind, resource, 'delete', () => kind.delete(resource, identity));
        await this.tell(kind, resource, 'Normal', 'Deleted', `${kind.noun} "${nameIn(resource)}" was deleted`);
        return undefined;
      }
    }
  }

  /** A change of the cluster, noted in the log and in the audit log. */
  private async change<T>(
    kind: Kind,
    resource: Resource,
    operation: string,
    act: () => Promise<T>,
    fields?: readonly string[],
  ): Promise<T> {
    const { audit, log } = this.options;
    if (audit && !audit.takesMore) throw new MqError('UNAVAILABLE', 'the audit log takes no more lines now');
    const noun = kind.kind.replace('Comet', '');
    const name = nameIn(resource);
    const entry = {
      ...{ user: askerOf(kind, resource), how: 'kubernetes', from: 'kubernetes', operation: `${operation}${noun}` },
      target: { name },
      change: operation === 'create' || operation === 'update' ? resource.spec : undefined,
    };
    try {
      const made = await act();
      void audit?.record({ ...entry, decision: 'done' });
      log.info(
        { resource: askerOf(kind, resource), name, operation, fields },
        'a resource of Kubernetes was put into effect',
      );
      return made;
    } catch (caught) {
      void audit?.record({ ...entry, decision: 'failed', reason: MqError.from(caught).reason });
      throw caught;
    }
  }

  private async say(kind: Kind, state: State, verdict: Verdict): Promise<void> {
    const { resource, owned, release } = state;
    const { clock } = this.options;
    const { ready, observedGeneration, id } = resource.status;
    const isTakenOver = release !== resource.status.release;
    const status = verdict.ready ? 'True' : 'False';
    const message = verdict.message.slice(0, messageLengthMax);
    const isSame = ready?.status === status && ready.reason === verdict.reason && ready.message === message;
    if (isSame && observedGeneration === resource.generation && id === owned && !isTakenOver) return;
    this.options.checkLead();
    const now = `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`;
    const since = ready?.status === status && ready.lastTransitionTime !== '' ? ready.lastTransitionTime : now;
    const { generation } = resource;
    const condition = { type: 'Ready', status, reason: verdict.reason, message };
    await this.write(kind, resource, '/status', {
      status: {
        // Of another cluster's nothing stays.
        ...{ observedGeneration: generation, id: owned ?? (isTakenOver ? null : undefined) },
        ...{ name: nameIn(resource), release },
        conditions: [{ ...condition, lastTransitionTime: since, observedGeneration: generation }],
      },
    });
    // Of one reason the words may change all the time: how much is left, say.
    const isNew = ready?.reason !== verdict.reason;
    if (!verdict.ready && isNew && verdict.quiet !== true)
      await this.tell(kind, resource, 'Warning', verdict.reason, message);
  }

  private async setFinalizers(
    kind: Kind,
    { resource, viewer }: State,
    finalizers: readonly string[],
  ): Promise<Resource> {
    // A list is written as a whole: not over what somebody else has added meanwhile.
    const metadata = { resourceVersion: resource.version, finalizers };
    const written = resourceOf(await this.write(kind, resource, '', { metadata }));
    return viewer === undefined ? written : asSeenBy(viewer, written);
  }

  private async write(kind: Kind, resource: Resource, sub: string, change: object): Promise<KubernetesObject> {
    const { kubernetes, written } = this.options;
    const all = `/apis/${apiGroup}/${apiVersion}/namespaces/${kubernetes.namespace}/${kind.plural}`;
    try {
      const object = await kubernetes.patch(`${all}/${resource.name}${sub}`, change);
      written(kind, object);
      return object;
    } catch (caught) {
      const { code, reason } = MqError.from(caught);
      throw new OwnWrite(code, reason, { cause: caught });
    }
  }

  /** An event of Kubernetes; what can't be told is no reason to stop. */
  private async tell(kind: Kind, resource: Resource, type: string, reason: string, message: string): Promise<void> {
    const { kubernetes, clock, log } = this.options;
    const { namespace } = kubernetes;
    const now = `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`;
    const { name, uid } = resource;
    await kubernetes
      .create(`/api/v1/namespaces/${namespace}/events`, {
        ...{ apiVersion: 'v1', kind: 'Event', type, reason, message: message.slice(0, messageLengthMax) },
        metadata: { generateName: `${name.slice(0, 200)}.`, namespace },
        involvedObject: { apiVersion: `${apiGroup}/${apiVersion}`, kind: kind.kind, name, uid, namespace },
        ...{ firstTimestamp: now, lastTimestamp: now, count: 1 },
        ...{
          source: { component: 'cometmq' },
          reportingComponent: 'cometmq.io/controller',
          reportingInstance: 'cometmq',
        },
      })
      .catch((caught: unknown) => log.warn(failureFacts(caught), 'an event could not be told to Kubernetes'));
  }
}

interface State {
  /** Who acts on it; undefined: it is only told something. */
  readonly viewer: Viewer | undefined;
  /** That it is of; undefined: of none. */
  readonly release: string | undefined;
  resource: Resource;
  owned: number | undefined;
  backlog: string | undefined;
  /** What was changed last. */
  changed: string | undefined;
}

/** A write to the resource itself failed: it may have changed, or be gone. */
class OwnWrite extends MqError {}

/** `TOPIC_NOT_FOUND` → `TopicNotFound`, as reasons of conditions are written. */
function reasonOf({ code }: MqError): string {
  return code.toLowerCase().replace(/(^|_)([a-z])/g, (_all, _before, letter: string) => letter.toUpperCase());
}
