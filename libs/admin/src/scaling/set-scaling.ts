/**
 * Broker sets follow the number of pods. The ordinal of a pod is its set: where the StatefulSets are scaled in, the sets
 * beyond drain and hand over what they hold, are taken out of the routes once they are empty, and only then do their pods stop (they ask, see
 * `stopReason`); where they are scaled out again, those sets take messages again.
 *
 * A ConfigMap says what is known:
 *   floor    so many sets must stay for now; fewer are refused
 *   reason   why
 *   left     JSON: set → what those that are scaled in hold still
 * Annotations of a service account say the first two to the admission policy that refuses; the chart says why there.
 */
import type { BrokerSet } from '@cometmq/model';
import { fieldOf, type KubernetesApi } from '@cometmq/rpc';
import { AgainAndAgain, failureFacts, MqError, type Clock, type Component } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import { isEmpty, remainsText, type SetRemains } from '../reports/set-remains.js';
import { countRemains, putBack, putStage, takeOut, type TakingContext } from './taking-out.js';

export interface SetScalingOptions {
  readonly context: TakingContext;
  readonly kubernetes: KubernetesApi;
  readonly log: Logger;
  /** Labels of the StatefulSets of brokers, as Kubernetes selects by them. */
  readonly selector: string;
  /** The ConfigMap and the service account: there already; the data of one and these annotations of the other are ours. */
  readonly notes: string;
  /** With more messages than this, delayed ones and open transactions among them, a set must be taken out before. */
  readonly heldMax: number;
  readonly everyMs: number;
}

interface Notes {
  readonly floor: string;
  readonly reason: string;
  readonly left: Readonly<Record<string, string>>;
}

/** Counting what sets hold is work: the floor may be this old. */
const floorMs = 10_000;
const floorKey = 'cometmq/floor';
const reasonKey = 'cometmq/reason';
const setPattern = /^broker-(\d+)$/;

export class SetScaling implements Component {
  readonly name = 'scaling of broker sets';
  private readonly looks: AgainAndAgain;
  private floor = { floor: '1', reason: '', atMs: -Infinity };
  /** Told as an event of Kubernetes, by set. */
  private readonly told = new Map<string, string>();
  private readonly clock: Clock;

  constructor(private readonly options: SetScalingOptions) {
    this.clock = options.context.clock;
    const failed = (caught: unknown): void => {
      options.log.warn(failureFacts(caught), 'broker sets can not follow the pods');
    };
    this.looks = new AgainAndAgain(this.clock, options.everyMs, () => this.look(), failed);
  }

  start(): Promise<void> {
    this.looks.start();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.looks.stop();
  }

  /** One look. */
  async look(): Promise<void> {
    const { kubernetes, selector } = this.options;
    const found = await kubernetes.get(
      `/apis/apps/v1/namespaces/${kubernetes.namespace}/statefulsets?labelSelector=${encodeURIComponent(selector)}`,
    );
    const items = fieldOf(found, 'items');
    const wanted = wantedSets(items);
    // Without pods, or on its way out: all of it stops, and nothing leaves.
    if (wanted === 0) return;
    const before = await this.notes();
    const left = { ...before.left };
    for (const [set, ordinal] of this.sets()) {
      if (ordinal >= wanted)
        left[set.name] = await this.scaledIn(set, left[set.name] ?? '', ordinal < setsWithPods(items));
      // What was taken out is empty, and stays out until it is led: one pod alone of it does not bring it back.
      else if (left[set.name] !== undefined && !(set.stage === 'gone' && set.leader === undefined)) {
        const why = await this.backAgain(set);
        if (why === undefined) delete left[set.name];
        else left[set.name] = why;
      }
    }
    if (this.clock.monotonicMs() - this.floor.atMs >= floorMs) {
      this.floor = { ...(await this.floorNow(wanted)), atMs: this.clock.monotonicMs() };
    }
    const { floor, reason } = this.floor;
    await this.note(before, { floor, reason, left });
    await this.tellPolicy(floor, reason);
  }

  /** @returns what it holds still, in words; empty: it is out */
  private async scaledIn(set: BrokerSet, known: string, hasPods: boolean): Promise<string> {
    const { context, log } = this.options;
    if (set.stage === 'gone') return '';
    if (set.stage !== 'draining') {
      const others = [...context.directory.brokerSets()].some((each) => each !== set && each.stage === 'serving');
      if (!others) return 'it is the only set that takes messages';
      log.warn({ brokerSet: set.name }, 'a broker set is scaled in: it drains');
      await putStage(context, set.name, 'draining');
      return known === '' ? 'not counted yet' : known;
    }
    if (set.leader === undefined) {
      if (!hasPods) await this.tellLeft(set.name, known);
      return known === '' ? 'not counted' : known;
    }
    try {
      const remains = await takeOut(context, set);
      if (remains) return isEmpty(remains) ? 'messages under way' : remainsText(remains);
      log.warn({ brokerSet: set.name }, 'a broker set was scaled in: it is empty, and in no route any more');
      this.told.delete(set.name);
      return '';
    } catch (caught) {
      log.info(failureFacts(caught), 'what a broker set holds could not be counted');
      return known;
    }
  }

  /** @returns why not yet: message groups that have begun to go are not taken back, so it leaves first; undefined: it is */
  private async backAgain(set: BrokerSet): Promise<string | undefined> {
    const { context, log } = this.options;
    this.told.delete(set.name);
    if (set.stage !== 'draining' && set.stage !== 'gone') return undefined;
    try {
      await putBack(context, set);
    } catch (caught) {
      if (MqError.from(caught).code !== 'CONFLICT') throw caught;
      const remains = await takeOut(context, set);
      return `it is wanted again, and comes back once its message groups have left: ${remains ? remainsText(remains) : 'nothing'}`;
    }
    log.warn({ brokerSet: set.name }, 'a broker set is wanted again: it takes messages');
    return undefined;
  }

  /** From the highest set down: those that hold little may go. */
  private async floorNow(wanted: number): Promise<{ floor: string; reason: string }> {
    const byOrdinal = new Map([...this.sets()].map(([set, ordinal]) => [ordinal, set]));
    for (let ordinal = wanted - 1; ordinal > 0; ordinal -= 1) {
      const set = byOrdinal.get(ordinal);
      const why = set && (await this.whyStays(set));
      if (why !== undefined) return { floor: String(ordinal + 1), reason: `${set?.name ?? ''} ${why}` };
    }
    return { floor: '1', reason: 'one broker set must stay; 0 stops all of them, and keeps their volumes' };
  }

  private async whyStays(set: BrokerSet): Promise<string | undefined> {
    if (set.stage === 'gone') return undefined;
    if (set.leader === undefined) return 'is led by nobody, so that nobody can say what it holds';
    const takes = ({ name, stage, leader }: BrokerSet): boolean =>
      name !== set.name && stage === 'serving' && leader !== undefined;
    if (![...this.options.context.directory.brokerSets()].some(takes)) {
      return 'has nobody to hand over to: no other broker set takes messages';
    }
    let remains: SetRemains;
    try {
      remains = await countRemains(this.options.context, set);
    } catch (caught) {
      return `can not say what it holds: ${MqError.from(caught).reason}`;
    }
    // All of it goes to other sets, which takes time and nothing more: how long depends on how much it is.
    const { messages, delayed, transactions, onTheirWay } = remains;
    if (messages + delayed + transactions + onTheirWay <= this.options.heldMax) return undefined;
    const held = remainsText(remains);
    return `holds ${held}: too many to be handed over before its pods stop; take it out first (comet cluster remove ${set.name})`;
  }

  private *sets(): Generator<[BrokerSet, number]> {
    for (const set of this.options.context.directory.brokerSets()) {
      const [, ordinal] = setPattern.exec(set.name) ?? [];
      if (ordinal !== undefined) yield [set, Number(ordinal)];
    }
  }

  /** Its pods have stopped and it is not empty: once for each set, while this process runs. */
  private async tellLeft(set: string, holds: string): Promise<void> {
    const { kubernetes, log, notes } = this.options;
    if (this.told.get(set) === holds) return;
    const held = holds === '' || holds === 'not counted yet' ? 'what nobody has counted' : holds;
    const message =
      `${set} was scaled in and its pods have stopped before all was handed over. It holds ${held}. Its volumes are kept: ` +
      `scale the StatefulSets out again, and it goes on.`;
    log.error({ brokerSet: set, holds: held }, 'a broker set that was scaled in has stopped with messages');
    const { namespace } = kubernetes;
    const now = new Date(this.clock.wallMs()).toISOString();
    await kubernetes.create(`/api/v1/namespaces/${namespace}/events`, {
      ...{ apiVersion: 'v1', kind: 'Event', type: 'Warning', reason: 'BrokerSetStoppedWithMessages', message },
      metadata: { generateName: `${notes}.`, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'ConfigMap', name: notes, namespace },
      ...{ firstTimestamp: now, lastTimestamp: now, count: 1 },
      ...{ source: { component: 'cometmq' }, reportingComponent: 'cometmq', reportingInstance: notes },
    });
    this.told.set(set, holds); // One that Kubernetes did not take is told again.
  }

  private path(kind: 'configmaps' | 'serviceaccounts'): string {
    const { kubernetes, notes } = this.options;
    return `/api/v1/namespaces/${kubernetes.namespace}/${kind}/${notes}`;
  }

  private async notes(): Promise<Notes> {
    const data = fieldOf(await this.options.kubernetes.get(this.path('configmaps')), 'data');
    const text = (name: string): string => {
      const value = fieldOf(data, name);
      return typeof value === 'string' ? value : '';
    };
    return { floor: text('floor'), reason: text('reason'), left: leftIn(text('left')) };
  }

  private async note(before: Notes, notes: Notes): Promise<void> {
    const [is, was] = [notes, before].map(({ floor, reason, left }) => ({ floor, reason, left: JSON.stringify(left) }));
    if (JSON.stringify(is) === JSON.stringify(was)) return;
    await this.options.kubernetes.patch(this.path('configmaps'), { data: is });
  }

  private async tellPolicy(floor: string, reason: string): Promise<void> {
    const { kubernetes } = this.options;
    const path = this.path('serviceaccounts');
    // Read each time: one that was made anew knows nothing, and then nothing may be scaled in.
    const said = fieldOf(await kubernetes.get(path), 'metadata', 'annotations');
    if (fieldOf(said, floorKey) === floor && fieldOf(said, reasonKey) === reason) return;
    await kubernetes.patch(path, { metadata: { annotations: { [floorKey]: floor, [reasonKey]: reason } } });
  }
}

/** Places are scaled one after the other: as long as one of them wants a set, it is wanted. */
function wantedSets(items: unknown): number {
  let wanted = 0;
  for (const item of Array.isArray(items) ? items : []) {
    const replicas = fieldOf(item, 'spec', 'replicas');
    if (fieldOf(item, 'metadata', 'deletionTimestamp') !== undefined) return 0;
    if (typeof replicas === 'number') wanted = Math.max(wanted, replicas);
  }
  return wanted;
}

/** Those whose pods Kubernetes still counts, also while they stop. */
function setsWithPods(items: unknown): number {
  let sets = 0;
  for (const item of Array.isArray(items) ? items : []) {
    const replicas = fieldOf(item, 'status', 'replicas');
    if (typeof replicas === 'number') sets = Math.max(sets, replicas);
  }
  return sets;
}

function leftIn(text: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
    return Object.fromEntries(Object.entries(value).filter(([, holds]) => typeof holds === 'string'));
  } catch {
    return {};
  }
}
