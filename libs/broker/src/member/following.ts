/**
 * One stream from a leader. The steps of libs/replication decide what of it is taken; here they are carried out on the
 * store. Records go in as they come; everything else waits until what came before is done.
 */
import type { Attached, FollowHello, FollowListener, FollowStream, Heartbeat, Peer } from '@cometmq/client';
import type { LogOutline, LogPosition, Promised } from '@cometmq/model';
import { Follower, type FollowerInput, type FollowerOutput } from '@cometmq/replication';
import { MqError, unreachable } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import { Inbox } from './inbox.js';
import type { LeaderAt } from './set-knowledge.js';
import { cutBack, diskBehind, Halt } from './taking-over.js';

export interface FollowingParts {
  readonly store: StorePorts;
  readonly outline: () => LogOutline;
  /** Resolves when it is durable. */
  readonly promise: (promise: Promised) => Promise<void>;
  /** One thing at a time changes what is written or folded. */
  readonly withStore: <T>(act: () => Promise<T>) => Promise<T>;
  readonly attached: (what: Attached) => void;
  readonly beat: (beat: Heartbeat) => void;
  /** The leader wants this member to take over. */
  readonly handOver: () => void;
  readonly snapshotNeeded: (oldest: LogPosition) => void;
  /** The stream is over. `refused`: nobody listens at its address. */
  readonly closed: (error: MqError | undefined, refused: boolean) => void;
  /** Something is broken: this member must not go on. */
  readonly halt: (why: MqError) => void;
}

export class Following {
  private readonly follower: Follower;
  private readonly inbox: Inbox;
  private readonly stream: FollowStream;
  private over = false;
  /** Up to where the leader is told that this member has it. */
  private acked: { readonly session: number; readonly end: LogPosition } | undefined;
  private isAttached = false;

  constructor(
    private readonly parts: FollowingParts,
    readonly leader: LeaderAt,
    peer: Peer,
    hello: FollowHello,
    promised: Promised,
  ) {
    const { store, outline } = parts;
    const { durableEnd } = store.replication;
    const { commitEnd } = store;
    this.follower = new Follower({ promised, log: outline(), durableEnd, commitEnd }, outline);
    this.inbox = new Inbox((caught) => this.failed(caught));
    this.stream = peer.follow(hello, this.listener());
    this.tellDurable(store.appendEnd); // What an earlier stream brought may still be on its way to the disk.
  }

  /** It has been told from where to read, and does. */
  get attached(): boolean {
    return this.isAttached && !this.over;
  }

  /** Nothing of it is taken any more. */
  close(): void {
    if (this.finish()) this.stream.close();
  }

  /** The same, as this member stops: the leader goes on without it at once. */
  leave(): void {
    if (this.finish()) this.stream.leave();
  }

  /** @returns whether it was not over yet */
  private finish(): boolean {
    if (this.over) return false;
    this.over = true;
    this.inbox.close();
    return true;
  }

  private listener(): FollowListener {
    return {
      attached: (what) => this.inbox.put(() => this.attach(what)),
      batch: (session, from, bytes) => this.inbox.put(() => this.batch(session, from, bytes)),
      heartbeat: (session, beat) => this.inbox.put(() => this.heartbeat(session, beat)),
      snapshotNeeded: (_session, oldest) =>
        this.inbox.put(() => {
          this.parts.snapshotNeeded(oldest);
          return undefined;
        }),
      handOver: () =>
        this.inbox.put(() => {
          this.parts.handOver();
          return undefined;
        }),
      closed: (error, refused) => {
        if (this.over) return;
        this.over = true;
        this.inbox.close();
        this.parts.closed(error, refused);
      },
    };
  }

  private async attach(what: Attached): Promise<void> {
    await this.parts.store.takeSalt(what.salt);
    const { session, leader, epoch, log } = what;
    await this.step({ kind: 'attached', session, leader, epoch, log });
    if (this.over) return;
    this.isAttached = true;
    this.parts.attached(what);
  }

  private batch(session: number, from: LogPosition, bytes: Uint8Array): Promise<void> | undefined {
    if (this.over) return undefined;
    const { store } = this.parts;
    const end = (from + bytes.byteLength) as LogPosition;
    const outputs = this.follower.step({ kind: 'received', session, from, end });
    if (outputs[0]?.kind !== 'append') return this.obey(outputs);
    try {
      store.replication.append(bytes);
    } catch (caught) {
      const error = MqError.from(caught);
      if (error.code !== 'CORRUPT_RECORD') throw error;
      this.end(error); // Damaged on its way: it is sent again.
      return undefined;
    }
    this.stream.taken(bytes);
    this.tellDurable(end);
    return diskBehind(store);
  }

  private tellDurable(end: LogPosition): void {
    const { replication } = this.parts.store;
    // What is cut off again is acknowledged to nobody: neither before it is synced, nor after, when other bytes stand there.
    replication.whenDurable(
      end,
      () =>
        this.inbox.put(() => this.step({ kind: 'durable', end: Math.min(end, replication.durableEnd) as LogPosition })),
      () => undefined,
    );
  }

  private heartbeat(session: number, beat: Heartbeat): Promise<void> | undefined {
    if (this.over) return undefined;
    this.parts.beat(beat);
    // Said again, so that the leader hears that somebody listens while there is nothing new.
    if (this.acked?.session === session) this.stream.ack(session, this.acked.end);
    return this.step({ kind: 'committed', session, end: beat.commitEnd });
  }

  private step(input: FollowerInput): Promise<void> | undefined {
    if (this.over) return undefined;
    return this.obey(this.follower.step(input));
  }

  /** At once, as far as nothing has to be waited for. */
  private obey(outputs: readonly FollowerOutput[], from = 0): Promise<void> | undefined {
    for (let i = from; i < outputs.length; i += 1) {
      if (this.over) return undefined;
      const waits = this.carryOut(outputs[i] as FollowerOutput);
      if (waits) return waits.then(() => this.obey(outputs, i + 1));
    }
    return undefined;
  }

  private carryOut(output: FollowerOutput): Promise<void> | undefined {
    const { store, promise, withStore, halt } = this.parts;
    switch (output.kind) {
      case 'promise':
        return promise(output.promise);
      case 'truncate':
        return withStore(async () => {
          if (!this.over) await cutBack(store, output.to, this.leader.member);
        });
      case 'follow':
        this.stream.follow(output.session, output.from);
        return undefined;
      case 'ack':
        this.acked = output;
        this.stream.ack(output.session, output.end);
        return undefined;
      case 'commit':
        store.replication.advanceCommit(output.end);
        return undefined;
      case 'refuse':
        this.stream.refuse(output.session, output.epoch, output.why);
        this.end(new MqError('CONFLICT', output.why));
        return undefined;
      case 'append':
        return undefined; // Done where it was received.
      case 'halt':
        this.close();
        halt(new MqError('CORRUPT_RECORD', output.why));
        return undefined;
      default:
        return unreachable(output);
    }
  }

  private failed(caught: unknown): void {
    const error = caught instanceof Halt ? caught.why : MqError.from(caught);
    this.close();
    if (caught instanceof Halt) {
      this.parts.halt(error);
      return;
    }
    if (error.retry) this.parts.closed(error, false);
    else this.parts.halt(error);
  }

  /** From this side. */
  private end(error: MqError): void {
    if (this.over) return;
    this.close();
    this.parts.closed(error, false);
  }
}
