import { internal } from '@cometmq/proto';
import type { BrokerSet, ConsumerGroup, MessageType, Topic } from '@cometmq/model';
import type { IncomingStream, RpcChannel } from '@cometmq/rpc';
import { MqError, sleep, type Clock, type Component, type Timer } from '@cometmq/shared';

import { BelievedMetadata } from './believed-metadata.js';
import {
  brokerSetFromWire,
  groupDraftToWire,
  groupFromWire,
  knowledgeToWire,
  namingPath,
  topicDraftToWire,
  topicFromWire,
  UpdateReader,
} from './name-service-frames.js';
import type {
  DeletionCall,
  RestoreCall,
  RetiredKind,
  RetiredList,
  DirectoryUpdate,
  GroupChange,
  GroupDraft,
  MetadataKnowledge,
  NameService,
  TopicChange,
  TopicDraft,
} from './name-service.js';
import { NameServerChannels } from './name-server-channels.js';
import type { NameServersNow } from './name-servers.js';

export interface GrpcNameServiceOptions {
  /** They are equal: one is used until it fails, then the next. */
  readonly nameServers: NameServersNow;
  readonly connect: (address: string) => RpcChannel;
  readonly clock: Clock;
  /** How long one call may take, all attempts together. */
  readonly callMsMax?: number;
  /** What else it waits for, and how long; left out: as it is good for processes of a cluster. */
  readonly patience?: Partial<NameServicePatience>;
  /** Told, once each time, when what the name service shows is refused, and why. */
  readonly onRefused?: ((reason: string) => void) | undefined;
}

export interface NameServicePatience {
  /** One instance is asked no longer than this before the next is. */
  readonly attemptMsMax: number;
  /** Between two watches that failed, at the most. */
  readonly pauseMsMax: number;
  /** A watch that has been told nothing at all for so long tries the next instance. */
  readonly firstUpdateMsMax: number;
  /** How long an answer waits for its own change to come by the watch; a watch that takes longer is made anew. */
  readonly seenMsMax: number;
}

const usualPatience: NameServicePatience = {
  attemptMsMax: 5_000,
  pauseMsMax: 1_000,
  firstUpdateMsMax: 10_000,
  seenMsMax: 2_000,
};
const pauseMsMin = 50;

/** A message's codec, as generated. */
interface Encodes<T> {
  encode(message: T): { finish(): Uint8Array };
}
interface Decodes<T> {
  decode(bytes: Uint8Array): T;
}

/**
 * `NameService` over gRPC. Calls and watches hold on to one instance and move on together when it fails; calls are then made
 * again, which is why a `createTopic` that met a dying instance may be told ALREADY_EXISTS by the next one.
 * A call that has changed something returns after this process's watches have been told of it.
 */
export class GrpcNameService implements NameService, Component {
  readonly name = 'nameService';
  private readonly channels: NameServerChannels;
  private readonly watches = new Set<Watch>();
  private readonly callMsMax: number;
  private readonly patience: NameServicePatience;
  private closed = false;

  constructor(private readonly options: GrpcNameServiceOptions) {
    this.channels = new NameServerChannels(options.nameServers, options.connect);
    this.callMsMax = options.callMsMax ?? 10_000;
    this.patience = { ...usualPatience, ...options.patience };
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.closed = true;
    for (const watch of this.watches) watch.stop();
    this.channels.close();
    return Promise.resolve();
  }

  watch(listener: (update: DirectoryUpdate) => void): () => void {
    const watch = new Watch(
      {
        open: () => {
          const instance = this.channels.current;
          const request = internal.WatchRequest.encode({}).finish();
          return { instance, stream: this.channels.to(instance).serverStream(namingPath('Watch'), request) };
        },
        failed: (instance) => this.channels.moveOn(instance),
        refused: (reason) => this.options.onRefused?.(reason),
      },
      listener,
      this.options.clock,
      this.patience,
    );
    this.watches.add(watch);
    return () => {
      watch.stop();
      this.watches.delete(watch);
    };
  }

  createTopic(draft: TopicDraft): Promise<Topic> {
    return this.askTopic('CreateTopic', internal.TopicDraft, topicDraftToWire(draft));
  }
  ensureTopic(name: string): Promise<Topic> {
    return this.askTopic('EnsureTopic', internal.NameRequest, named(name));
  }
  fixTopicType(name: string, type: MessageType): Promise<Topic> {
    return this.askTopic('FixTopicType', internal.FixTopicTypeRequest, { name, type });
  }
  updateTopic(name: string, change: TopicChange): Promise<Topic> {
    return this.askTopic('UpdateTopic', internal.TopicDraft, topicDraftToWire({ ...change, name }));
  }
  deleteTopic(name: string, { now = false, who = '' }: DeletionCall = {}): Promise<void> {
    return this.askDone('DeleteTopic', internal.NameRequest, { name, now, who });
  }
  createGroup(draft: GroupDraft): Promise<ConsumerGroup> {
    return this.askGroup('CreateGroup', internal.GroupDraft, groupDraftToWire(draft));
  }
  ensureGroup(name: string): Promise<ConsumerGroup> {
    return this.askGroup('EnsureGroup', internal.NameRequest, named(name));
  }
  updateGroup(name: string, change: GroupChange): Promise<ConsumerGroup> {
    return this.askGroup('UpdateGroup', internal.GroupDraft, groupDraftToWire({ ...change, name }));
  }
  deleteGroup(name: string, { now = false, who = '' }: DeletionCall = {}): Promise<void> {
    return this.askDone('DeleteGroup', internal.NameRequest, { name, now, who });
  }
  async retired(): Promise<RetiredList> {
    const { ListRetiredRequest, ListRetiredAnswer } = internal;
    const { retired, graceMs } = await this.ask('ListRetired', ListRetiredRequest, {}, ListRetiredAnswer);
    return { retired: retired.map(({ kind, ...one }) => ({ ...one, kind: kind as RetiredKind })), graceMs };
  }
  restore(kind: RetiredKind, id: number, { replace = false, who = '' }: RestoreCall = {}): Promise<void> {
    return this.askDone('Restore', internal.RestoreRequest, { kind, id, replace, who });
  }
  ensureInnerTopic(name: string): Promise<Topic> {
    return this.askTopic('EnsureInnerTopic', internal.NameRequest, named(name));
  }

  async forgetMembers(name: string): Promise<BrokerSet> {
    const { broker } = await this.ask('ForgetMembers', internal.NameRequest, named(name), internal.BrokerSetAnswer);
    return brokerSetFromWire(broker);
  }

  async allowAdoption(): Promise<number> {
    const { untilMs } = await this.ask('AllowAdoption', internal.AllowAdoptionRequest, {}, internal.AdoptionAnswer);
    return untilMs;
  }

  adoptMetadata(part: MetadataKnowledge): Promise<void> {
    return this.askDone('AdoptMetadata', internal.MetadataKnowledge, knowledgeToWire(part));
  }

  private async askTopic<Q>(method: string, codec: Encodes<Q>, request: Q): Promise<Topic> {
    const { topic } = await this.ask(method, codec, request, internal.TopicAnswer);
    return topicFromWire(topic);
  }

  private async askGroup<Q>(method: string, codec: Encodes<Q>, request: Q): Promise<ConsumerGroup> {
    const { group } = await this.ask(method, codec, request, internal.GroupAnswer);
    return groupFromWire(group);
  }

  private async askDone<Q>(method: string, codec: Encodes<Q>, request: Q): Promise<void> {
    await this.ask(method, codec, request, internal.DoneAnswer);
  }

  private async ask<Q, A extends { readonly revision: number }>(
    method: string,
    requests: Encodes<Q>,
    request: Q,
    answers: Decodes<A>,
    msMax = this.callMsMax,
  ): Promise<A> {
    const bytes = requests.encode(request).finish();
    const answer = answers.decode(await this.persist(namingPath(method), bytes, msMax));
    await Promise.all([...this.watches].map((watch) => watch.seen(answer.revision, this.patience.seenMsMax)));
    return answer;
  }

  /** Asks one instance after the other until one answers, or the time is over. */
  private async persist(path: string, request: Uint8Array, msMax: number): Promise<Uint8Array> {
    const { clock } = this.options;
    const { count } = this.channels;
    const untilMs = clock.monotonicMs() + msMax;
    // One that hangs leaves time for another.
    const attemptMs = count > 1 ? Math.min(this.patience.attemptMsMax, msMax / 2) : msMax;
    for (let attempt = 1; ; attempt += 1) {
      const instance = this.channels.current;
      try {
        const deadlineMs = Math.min(untilMs, clock.monotonicMs() + attemptMs);
        return await this.channels.to(instance).unary(path, request, { deadlineMs });
      } catch (caught) {
        const error = MqError.from(caught);
        const elsewhere = error.code === 'UNAVAILABLE' || error.code === 'TIMEOUT';
        if (!elsewhere || this.closed) throw error;
        this.channels.moveOn(instance);
        if (clock.monotonicMs() + pauseMsMin >= untilMs) throw this.channels.unreachable(error);
        if (attempt % count === 0) await sleep(clock, pauseMsMin);
      }
    }
  }
}

interface WatchDoor {
  open(): { readonly instance: number; readonly stream: IncomingStream };
  failed(instance: number): void;
  refused(reason: string): void;
}

/** One watch, kept up over broken connections and instances that go. What has been told is never taken back. */
class Watch {
  /** The last revision told; 0: nothing yet. */
  private told = 0;
  private stream: IncomingStream | undefined;
  private timer: Timer | undefined;
  private pauseMs = pauseMsMin;
  private readonly believed: BelievedMetadata;
  private stopped = false;
  /** Leaves the stream at hand and opens another. */
  private giveUp: () => void = () => undefined;
  private waiters: { readonly revision: number; readonly done: () => void }[] = [];

  constructor(
    private readonly door: WatchDoor,
    private readonly listener: (update: DirectoryUpdate) => void,
    private readonly clock: Clock,
    private readonly patience: NameServicePatience,
  ) {
    this.believed = new BelievedMetadata((reason) => door.refused(reason));
    this.timer = clock.after(0, () => this.open());
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.stream?.cancel();
    this.stream = undefined;
    this.wake(Infinity);
  }

  /** Resolves once `revision` has been told, or after `msMax`: the change is made all the same. */
  seen(revision: number, msMax: number): Promise<void> {
    if (this.stopped || this.told >= revision) return Promise.resolve();
    return new Promise((resolve) => {
      const waiter = {
        revision,
        done: () => {
          timer.cancel();
          resolve();
        },
      };
      const timer = this.clock.after(msMax, () => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        this.giveUp();
        resolve();
      });
      this.waiters.push(waiter);
    });
  }

  private open(): void {
    if (this.stopped) return;
    const { instance, stream } = this.door.open();
    this.stream = stream;
    const reader = new UpdateReader();
    let begun = false;
    const giveUp = (): void => {
      if (this.stream !== stream || this.stopped) return;
      this.stream = undefined;
      stream.cancel();
      this.door.failed(instance);
      this.timer?.cancel();
      this.timer = this.clock.after(this.pauseMs, () => this.open());
      this.pauseMs = Math.min(this.pauseMs * 2, this.patience.pauseMsMax);
    };
    this.giveUp = giveUp;
    this.timer = this.clock.after(this.patience.firstUpdateMsMax, giveUp);
    stream.onEnd(giveUp);
    stream.onMessage((bytes) => {
      if (this.stream !== stream || this.stopped) return;
      const update = reader.read(internal.DirectoryUpdate.decode(bytes));
      if (!update) return;
      if (this.refuses(update)) return giveUp();
      if (!begun) {
        begun = true;
        this.timer?.cancel();
        this.pauseMs = pauseMsMin;
      }
      this.tell(update);
    });
  }

  private refuses(update: DirectoryUpdate): boolean {
    if (update.kind !== 'snapshot') return false;
    const { clusterId, generation, revision, replaced } = update;
    return !this.believed.believes({ clusterId, generation, revision }, replaced);
  }

  private tell(update: DirectoryUpdate): void {
    this.told = update.revision;
    this.believed.reached(update.revision);
    this.listener(update);
    this.wake(update.revision);
  }

  private wake(revision: number): void {
    const due = this.waiters.filter((waiter) => waiter.revision <= revision);
    this.waiters = this.waiters.filter((waiter) => waiter.revision > revision);
    for (const { done } of due) done();
  }
}

function named(name: string): internal.NameRequest {
  return { name, now: false, who: '' };
}
