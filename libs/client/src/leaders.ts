import type { BrokerSet } from '@cometmq/model';
import type { Clock, Component, Timer } from '@cometmq/shared';

import type { Directory } from './directory.js';
import type { DirectoryUpdate } from './name-service.js';
import type { KnownLeader } from './not-leader.js';
import type { MemberStatus } from './peers.js';

/** The newest term of a broker set that was heard of. */
interface Term {
  readonly epoch: number;
  /** The same object as long as it is the same leader. */
  leader: KnownLeader | undefined;
  /** The name service shows no leader: it may only be silent to the name service. */
  absent: boolean;
  /** It could not be reached, or it said that it does not lead, and nothing has come from it since. */
  doubtful: boolean;
  asking: Timer | undefined;
}

/** Asks the member at an address what it knows of its set. */
export type AskMember = (address: string, brokerSet: string) => Promise<MemberStatus>;

/** The name service is nearly always faster. */
const askAfterMs = 100;
const askEveryMs = 300;
/** After so many times a change of leaders is no matter of a moment any more: the set may be no more. */
const askOftenMax = 40;
const askSeldomMs = 3_000;

/**
 * Who leads each broker set, as far as this process has heard: from the directory, from a broker that does not lead, or,
 * while the leader is doubtful and the name service says nothing, from the members themselves. The highest epoch ever
 * heard of is believed: what an ended term says is not.
 */
export class Leaders implements Component {
  readonly name = 'leaders';
  private readonly terms = new Map<string, Term>();
  private readonly listeners = new Set<(brokerSet: string) => void>();
  /** Addresses that are being asked. */
  private readonly asked = new Set<string>();
  private forget: (() => void) | undefined;
  private stopped = false;

  constructor(
    private readonly directory: Directory,
    private readonly clock: Clock,
    /** Left out: only the directory and the brokers' own words count. */
    private readonly ask?: AskMember,
  ) {}

  start(): Promise<void> {
    for (const set of this.directory.brokerSets()) this.shown(set);
    this.forget = this.directory.onUpdate((update) => this.updated(update));
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.stopped = true;
    this.forget?.();
    for (const term of this.terms.values()) term.asking?.cancel();
    return Promise.resolve();
  }

  brokerSets(): string[] {
    return [...this.directory.brokerSets()].map(({ name }) => name);
  }

  /** False: there is no such set, or not any more. */
  has(brokerSet: string): boolean {
    return this.terms.has(brokerSet);
  }

  /** A map read. Undefined: nobody leads the set, or there is no such set. */
  leader(brokerSet: string): KnownLeader | undefined {
    const term = this.terms.get(brokerSet);
    return term === undefined || (term.absent && term.doubtful) ? undefined : term.leader;
  }

  /** Nothing has come from the leader since it could not be reached, or nobody leads. */
  doubtful(brokerSet: string): boolean {
    const term = this.terms.get(brokerSet);
    return term?.leader === undefined || term.doubtful;
  }

  /** Where those are that may lead next: members in sync, as the name service shows them. */
  successors(brokerSet: string): string[] {
    const leader = this.leader(brokerSet);
    const { members = [], inSync = [] } = this.directory.brokerSet(brokerSet) ?? {};
    return members
      .filter(({ member, address }) => inSync.includes(member) && address !== '' && address !== leader?.address)
      .map(({ address }) => address);
  }

  /** Somebody has said who leads. */
  heard(brokerSet: string, leader: KnownLeader): void {
    const term = this.terms.get(brokerSet);
    if (leader.address === '' || !this.directory.brokerSet(brokerSet)) return;
    if (term && (leader.epoch < term.epoch || (leader.epoch === term.epoch && term.leader))) return;
    this.begin(brokerSet, leader.epoch, leader);
  }

  /** The leader of this term can't be reached, or says that it does not lead. */
  doubt(brokerSet: string, epoch: number): void {
    const term = this.terms.get(brokerSet);
    if (term?.epoch !== epoch || term.doubtful) return;
    term.doubtful = true;
    this.askSoon(brokerSet, term, askAfterMs);
    this.tell(brokerSet);
  }

  /** The leader of this term has answered as one. */
  trust(brokerSet: string, epoch: number): void {
    const term = this.terms.get(brokerSet);
    if (term?.epoch !== epoch || !term.doubtful) return;
    term.doubtful = false;
    term.asking?.cancel();
    this.tell(brokerSet);
  }

  /** Called after a set has got another leader, and when its leader became doubtful or ceased to be. */
  onChange(listener: (brokerSet: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private updated(update: DirectoryUpdate): void {
    if (update.kind === 'broker') this.shown(update.broker);
    else if (update.kind === 'brokerDeleted') this.drop(update.broker.name);
    else if (update.kind === 'snapshot') {
      for (const name of [...this.terms.keys()]) if (!this.directory.brokerSet(name)) this.drop(name);
      for (const set of update.brokers) this.shown(set);
    }
  }

  private shown({ name, epoch, leader: address, leaderMember }: BrokerSet): void {
    const term = this.terms.get(name);
    if (term && epoch < term.epoch) return;
    const leader = address === undefined ? undefined : { epoch, address, member: leaderMember ?? '' };
    const known = term?.epoch === epoch ? term.leader : undefined;
    if (term?.epoch === epoch && (leader === undefined || known?.address === leader.address)) {
      term.absent = leader === undefined;
    } else this.begin(name, epoch, leader);
  }

  private begin(brokerSet: string, epoch: number, leader: KnownLeader | undefined): void {
    const before = this.terms.get(brokerSet);
    before?.asking?.cancel();
    const term: Term = { epoch, leader, absent: leader === undefined, doubtful: false, asking: undefined };
    this.terms.set(brokerSet, term);
    if (!leader) this.askSoon(brokerSet, term, askAfterMs);
    this.tell(brokerSet);
  }

  private drop(brokerSet: string): void {
    this.terms.get(brokerSet)?.asking?.cancel();
    if (this.terms.delete(brokerSet)) this.tell(brokerSet);
  }

  private tell(brokerSet: string): void {
    for (const listener of [...this.listeners]) listener(brokerSet);
  }

  private askSoon(brokerSet: string, term: Term, waitMs: number, times = 1): void {
    if (!this.ask || this.stopped) return;
    term.asking = this.clock.after(waitMs, () => {
      if (this.terms.get(brokerSet) !== term || (term.leader && !term.doubtful)) return;
      for (const address of this.addresses(brokerSet)) this.askOne(brokerSet, address);
      this.askSoon(brokerSet, term, times < askOftenMax ? askEveryMs : askSeldomMs, times + 1);
    });
  }

  private askOne(brokerSet: string, address: string): void {
    if (!this.ask || this.asked.has(address)) return;
    this.asked.add(address);
    this.ask(address, brokerSet)
      .then(
        (status) => this.answered(brokerSet, address, status),
        () => undefined, // It is away itself; the others are asked too.
      )
      .finally(() => this.asked.delete(address));
  }

  private answered(brokerSet: string, address: string, { role, epoch, member, leader }: MemberStatus): void {
    if (role === 'leading') this.heard(brokerSet, { epoch, address, member });
    else if (leader !== undefined) {
      const at = this.addressOf(brokerSet, leader);
      if (at !== undefined) this.heard(brokerSet, { epoch, address: at, member: leader });
    }
  }

  private addresses(brokerSet: string): ReadonlySet<string> {
    const set = this.directory.brokerSet(brokerSet);
    const all = new Set((set?.members ?? []).map(({ address }) => address));
    const known = this.terms.get(brokerSet)?.leader?.address;
    if (known !== undefined) all.add(known);
    all.delete('');
    return all;
  }

  private addressOf(brokerSet: string, member: string): string | undefined {
    const known = this.directory.brokerSet(brokerSet)?.members.find((one) => one.member === member);
    return known?.address === '' ? undefined : known?.address;
  }
}
