import type { BrokerState, Directory } from '@cometmq/client';
import type { BrokerSet, User } from '@cometmq/model';
import { counted } from '@cometmq/shared';

import type { Answers } from './ask-all.js';

/** A broker as it sees itself, without what its set says too. */
export type BrokerView = Omit<BrokerState, 'name' | 'epoch' | 'writable' | 'metadataProblem' | HandingOver>;

type HandingOver = 'handedOver' | 'onTheirWay' | 'handOverProblem' | 'groupsLeave';

export interface ClusterReport {
  readonly id: string;
  readonly healthy: boolean;
  readonly reasons: readonly string[];
  /** What somebody should do though all is well; absent: nothing. */
  readonly hints?: readonly string[];
  readonly topics: number;
  readonly groups: number;
  readonly brokerSets: readonly (BrokerSet & { readonly state?: BrokerView; readonly problem?: string })[];
}

/** The cluster as the directory and its brokers see it. Healthy: every set that is in the routes does what its stage says. */
export function clusterReport(
  directory: Directory,
  { answers, missing }: Answers<BrokerState>,
  /** Of sets that nobody is shown to lead: what their members say. */
  unled: ReadonlyMap<string, string> = new Map(),
): ClusterReport {
  const states = new Map(answers.map(({ brokerSet, answer }) => [brokerSet, answer]));
  const problems = new Map(missing.map(({ brokerSet, detail }) => [brokerSet, detail]));
  const reasons: string[] = [];
  const brokerSets = [...directory.brokerSets()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((set) => {
      const state = states.get(set.name);
      const problem = problems.get(set.name);
      const wrong = wrongWith(set, state, problem, unled.get(set.name));
      if (wrong !== undefined) reasons.push(`${set.name}: ${wrong}`);
      return { ...set, ...(state && { state: stateView(state) }), ...(problem !== undefined && { problem }) };
    });
  if (brokerSets.length === 0) reasons.push('no broker has registered yet');
  return {
    id: directory.clusterId,
    healthy: reasons.length === 0,
    reasons,
    topics: directory.topicCount,
    groups: directory.groupCount,
    brokerSets,
  };
}

/** Undefined: who was made at the first start has got another secret since, or nobody was. */
export function printedSecretHint(name: string, user: User | undefined): string | undefined {
  if (user?.secretVersion !== 1) return undefined;
  return `user ${name} still has the secret that was printed at the first start: comet user rotate ${name} gives it another one`;
}

function wrongWith(
  set: BrokerSet,
  state: BrokerState | undefined,
  problem: string | undefined,
  says: string | undefined,
): string | undefined {
  if (set.stage === 'gone') return undefined; // It may be stopped: nobody waits for it.
  if (set.leader === undefined && set.stage === 'draining')
    return 'nobody leads, and it may hold messages that are not consumed: start its members again, and they are';
  if (set.leader === undefined) return says ?? 'nobody leads';
  if (problem !== undefined) return problem;
  // A set that drains takes none on purpose.
  if ((!set.writable && set.stage === 'serving') || state?.writable === false)
    return 'takes no new messages (its disk is full)';
  if (state?.metadataProblem !== undefined) return state.metadataProblem;
  if (state && state.lostBytes > 0)
    return `${counted(state.lostBytes, 'byte of its log is', 'bytes of its log are')} lost (comet broker damage ${set.name})`;
  return undefined;
}

function stateView(state: BrokerState): BrokerView {
  const { version, incarnation, appendEnd, commitEnd, diskBytes, freeBytes, oldestMs, waitingPolls, sessions } = state;
  const { lostBytes } = state;
  return {
    version,
    incarnation,
    appendEnd,
    commitEnd,
    diskBytes,
    freeBytes,
    lostBytes,
    oldestMs,
    waitingPolls,
    sessions,
  };
}
