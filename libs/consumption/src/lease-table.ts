import type { GroupId } from '@cometmq/model';

import { AttemptTable } from './attempt-table.js';
import { grown } from './block-table.js';
import { LeaseConnections } from './lease-connections.js';

/**
 * Leases: what one delivery record gave to one client of one queue. A lease is a slot; its columns are typed arrays.
 * Scattered deliveries (gaps of more than `leaseGap`) get several slots with the same identity, so that the messages of a
 * slot are found by looking through a short range. In an orderly group each lane has a slot of its own; its messages are
 * those of the lane's batch (lanes.ts).
 *
 * `held` counts the messages whose due time is the lease's; `refs` also those that wait for a time of their own but were
 * last handed out under it. A slot is free when refs is 0; a slot that holds something is in its client's list.
 */
export const leaseGap = 64;
export const leasesPerPage = 64;

/** A client of a group that holds, or last held, something. */
export interface LeaseClient {
  readonly index: number;
  readonly groupId: GroupId;
  readonly clientId: string;
  /** The first slot of its list; -1: none. */
  head: number;
  /** Slots that name it. */
  slots: number;
}

export interface NewLease {
  readonly epoch: number;
  readonly position: number;
  readonly handedMs: number;
  readonly dueMs: number;
  readonly autoRenew: boolean;
  readonly client: LeaseClient;
  /** The receive attempt that it answered, as long as that can be asked again; empty: none. */
  readonly attemptId: string;
}

/** Of an orderly group: the lane, and how long after the lease's end it comes free. */
export interface LaneLease {
  readonly hash: number;
  readonly backoffMs: number;
}

export class LeaseTable {
  owner = new Uint32Array(64);
  epoch = new Float64Array(64);
  position = new Float64Array(64);
  first = new Float64Array(64);
  last = new Float64Array(64);
  handedMs = new Float64Array(64);
  dueMs = new Float64Array(64);
  /** The time under which it stands in its queue's heap; 0: in none. */
  queuedMs = new Float64Array(64);
  client = new Uint32Array(64);
  autoRenew = new Uint8Array(64);
  held = new Uint32Array(64);
  refs = new Uint32Array(64);
  /** The lane's hash + 1; 0: the group is not orderly. */
  lane = new Float64Array(64);
  /** How long after its end the messages are due; 0 where the group is not orderly. */
  backoffMs = new Float64Array(64);
  /** 1: in use. */
  inUse = new Uint8Array(64);
  /**
   * Soft: which connection the answer goes out on, in `connections`, and 1 where it is known to have arrived. Decisions ask
   * for it; no fold does, and nothing of it is saved.
   */
  via = new Uint32Array(64);
  arrived = new Uint8Array(64);
  readonly connections = new LeaseConnections();
  readonly attempts = new AttemptTable();
  private prev = new Int32Array(64);
  private next = new Int32Array(64);
  private end = 0;
  private freeHead = -1;
  private used = 0;
  private readonly clientList: (LeaseClient | undefined)[] = [];
  private readonly freeClients: number[] = [];
  private readonly groups = new Map<GroupId, Map<string, LeaseClient>>();
  private pageFlags = new Uint8Array(1);
  private dirtyPages: number[] = [];

  get size(): number {
    return this.used;
  }

  /** Counts nothing yet: the caller adds what is held, then links it. */
  add(lease: NewLease, owner: number, first: number, lane?: LaneLease): number {
    let slot = this.freeHead;
    if (slot >= 0) this.freeHead = this.next[slot] as number;
    else {
      slot = this.end;
      this.reserve(slot);
    }
    this.set(slot, lease, owner, first, first, lane);
    return slot;
  }

  /** Takes a certain slot, as a saved page says. `rebuild` must follow. */
  set(slot: number, lease: NewLease, owner: number, first: number, last: number, lane?: LaneLease): void {
    this.reserve(slot);
    this.used += 1;
    this.inUse[slot] = 1;
    this.owner[slot] = owner;
    this.epoch[slot] = lease.epoch;
    this.position[slot] = lease.position;
    this.first[slot] = first;
    this.last[slot] = last;
    this.handedMs[slot] = lease.handedMs;
    this.dueMs[slot] = lease.dueMs;
    this.queuedMs[slot] = 0;
    this.autoRenew[slot] = lease.autoRenew ? 1 : 0;
    this.client[slot] = lease.client.index;
    this.held[slot] = 0;
    this.refs[slot] = 0;
    this.lane[slot] = lane ? lane.hash + 1 : 0;
    this.backoffMs[slot] = lane?.backoffMs ?? 0;
    this.via[slot] = 0;
    this.arrived[slot] = 0;
    if (lease.attemptId !== '') for (const old of this.attempts.bind(slot, lease)) this.touch(old);
    lease.client.slots += 1;
    this.touch(slot);
  }

  link(slot: number): void {
    const client = this.clientOf(slot);
    this.prev[slot] = -1;
    this.next[slot] = client.head;
    if (client.head >= 0) this.prev[client.head] = slot;
    client.head = slot;
  }

  /** The offset is held under it from now on. */
  take(slot: number, offset: number): void {
    this.last[slot] = offset;
    this.count(slot, true);
  }

  /** One of the open messages names it; with `held`, its due time is the lease's. */
  count(slot: number, held: boolean): void {
    this.refs[slot] = (this.refs[slot] as number) + 1;
    if (held) this.held[slot] = (this.held[slot] as number) + 1;
  }

  /** One of its messages has left it for a time of its own, or for good. */
  unhold(slot: number): void {
    const held = (this.held[slot] as number) - 1;
    this.held[slot] = held;
    if (held === 0) this.unlink(slot);
  }

  /** One of its messages has left it for good, after `unhold` where it was held. */
  unref(slot: number): void {
    const refs = (this.refs[slot] as number) - 1;
    this.refs[slot] = refs;
    if (refs === 0) this.free(slot);
  }

  /** Undefined: it is not known, or not any more. */
  sendVia(slot: number, connection: string | undefined): void {
    this.connections.release(this.via[slot] as number);
    this.via[slot] = connection === undefined ? 0 : this.connections.take(connection);
  }

  isOf(slot: number, epoch: number, position: number): boolean {
    return this.position[slot] === position && this.epoch[slot] === epoch;
  }

  /** Its client has shown the lease: so the whole answer has arrived. Costs something only where that was not known. */
  setArrived(slot: number): void {
    if (this.via[slot] !== 0 || this.arrived[slot] === 1) return;
    this.arrived[slot] = 1;
    const [epoch, position] = [this.epoch[slot] as number, this.position[slot] as number];
    for (let other = this.clientOf(slot).head; other >= 0; other = this.after(other)) {
      if (this.isOf(other, epoch, position)) this.arrived[other] = 1;
    }
  }

  clientOf(slot: number): LeaseClient {
    return this.clientList[this.client[slot] as number] as LeaseClient;
  }

  /** The next slot of the same client that holds something; -1: none. */
  after(slot: number): number {
    return this.next[slot] as number;
  }

  findClient(groupId: GroupId, clientId: string): LeaseClient | undefined {
    return this.groups.get(groupId)?.get(clientId);
  }

  clientFor(groupId: GroupId, clientId: string): LeaseClient {
    let clients = this.groups.get(groupId);
    if (!clients) this.groups.set(groupId, (clients = new Map<string, LeaseClient>()));
    let client = clients.get(clientId);
    if (!client) {
      const index = this.freeClients.pop() ?? this.clientList.length;
      client = { index, groupId, clientId, head: -1, slots: 0 };
      this.clientList[index] = client;
      clients.set(clientId, client);
    }
    return client;
  }

  /** Every client that a slot names. */
  *clients(): Iterable<LeaseClient> {
    for (const clients of this.groups.values()) yield* clients.values();
  }

  /** A client that was made for nothing goes again. */
  dropIfIdle(client: LeaseClient): void {
    if (client.slots > 0) return;
    const clients = this.groups.get(client.groupId);
    clients?.delete(client.clientId);
    if (clients?.size === 0) this.groups.delete(client.groupId);
    this.clientList[client.index] = undefined;
    this.freeClients.push(client.index);
  }

  touch(slot: number): void {
    const page = Math.floor(slot / leasesPerPage);
    const flags = this.pageFlags[page] as number;
    if ((flags & dirtyFlag) !== 0) return;
    this.pageFlags[page] = flags | dirtyFlag;
    this.dirtyPages.push(page);
  }

  /** Pages that have changed since the last call, and whether a piece of them was saved before. */
  takeDirty(): { page: number; saved: boolean }[] {
    const taken = this.dirtyPages.map((page) => ({
      page,
      saved: ((this.pageFlags[page] as number) & savedFlag) !== 0,
    }));
    for (const page of this.dirtyPages) this.pageFlags[page] = 0;
    this.dirtyPages = [];
    return taken;
  }

  setSaved(page: number, saved: boolean): void {
    this.reserve(page * leasesPerPage);
    this.pageFlags[page] = saved ? savedFlag : 0;
  }

  /** After slots were `set`, and what they hold was counted: frees the idle, links the others. */
  rebuild(): void {
    this.freeHead = -1;
    for (let slot = this.end - 1; slot >= 0; slot -= 1) {
      if (this.inUse[slot] === 0) {
        this.next[slot] = this.freeHead;
        this.freeHead = slot;
      } else if (this.refs[slot] === 0) this.free(slot);
      else if ((this.held[slot] as number) > 0) this.link(slot);
    }
    this.dirtyPages = this.dirtyPages.filter((page) => ((this.pageFlags[page] as number) & dirtyFlag) !== 0);
  }

  slotsEnd(): number {
    return this.end;
  }

  private unlink(slot: number): void {
    const prev = this.prev[slot] as number;
    const next = this.next[slot] as number;
    if (prev >= 0) this.next[prev] = next;
    else this.clientOf(slot).head = next;
    if (next >= 0) this.prev[next] = prev;
  }

  private free(slot: number): void {
    const client = this.clientOf(slot);
    client.slots -= 1;
    this.dropIfIdle(client);
    this.attempts.unbind(slot);
    this.sendVia(slot, undefined);
    this.inUse[slot] = 0;
    this.used -= 1;
    this.next[slot] = this.freeHead;
    this.freeHead = slot;
    this.touch(slot);
  }

  private reserve(slot: number): void {
    while (slot >= this.owner.length) this.grow();
    if (slot >= this.end) this.end = slot + 1;
  }

  private grow(): void {
    const size = 2 * this.owner.length;
    this.owner = grown(this.owner, new Uint32Array(size));
    this.epoch = grown(this.epoch, new Float64Array(size));
    this.position = grown(this.position, new Float64Array(size));
    this.first = grown(this.first, new Float64Array(size));
    this.last = grown(this.last, new Float64Array(size));
    this.handedMs = grown(this.handedMs, new Float64Array(size));
    this.dueMs = grown(this.dueMs, new Float64Array(size));
    this.queuedMs = grown(this.queuedMs, new Float64Array(size));
    this.client = grown(this.client, new Uint32Array(size));
    this.autoRenew = grown(this.autoRenew, new Uint8Array(size));
    this.held = grown(this.held, new Uint32Array(size));
    this.refs = grown(this.refs, new Uint32Array(size));
    this.lane = grown(this.lane, new Float64Array(size));
    this.backoffMs = grown(this.backoffMs, new Float64Array(size));
    this.inUse = grown(this.inUse, new Uint8Array(size));
    this.via = grown(this.via, new Uint32Array(size));
    this.arrived = grown(this.arrived, new Uint8Array(size));
    this.prev = grown(this.prev, new Int32Array(size));
    this.next = grown(this.next, new Int32Array(size));
    this.pageFlags = grown(this.pageFlags, new Uint8Array(size / leasesPerPage));
  }
}

const dirtyFlag = 1;
const savedFlag = 2;
