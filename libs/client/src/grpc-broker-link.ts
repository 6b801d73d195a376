import type { internal } from '@cometmq/proto';
import { MqError, type Clock, type Timer } from '@cometmq/shared';

import type {
  AckCall,
  AskRoom,
  BrokerLink,
  ChangeInvisibleCall,
  ChangeInvisibleResult,
  ClientCommand,
  ClientGoneCall,
  CommandAnswer,
  DeadLetterCall,
  Done,
  EndTransactionCall,
  HandBackCall,
  LiteSyncCall,
  OffsetsCall,
  OffsetsResult,
  PullCall,
  PullResult,
  RecallCall,
  RecallResult,
  ReceiveCall,
  ReceiveResult,
  RemotePlace,
  SendCall,
  SendResult,
  SessionReport,
} from './broker-link.js';
import { commandFromWire } from './command-frames.js';
import { decodeLinkFrame, encodeLinkFrame } from './link-codec.js';
import {
  deadLetterToWire,
  deliveredFromWire,
  errorFromWire,
  exchangePath,
  messageBytes,
  receiptFromWire,
  receiptToWire,
  receiveToWire,
  sendToWire,
  type WireAnswer,
  type WireCall,
} from './link-frames.js';
import { NotLeader, type KnownLeader } from './not-leader.js';
import { endTransactionToWire, placeFromWire, placeToWire } from './pending-frames.js';
import { offsetsResultFromWire, offsetsToWire, pullResultFromWire, pullToWire } from './pull-frames.js';
import type { ReadBody } from './read-message.js';
import { clientGoneToWire, liteSyncToWire, reportToWire } from './session-frames.js';

/** What the link needs of a two-way stream: frames in order, and word of its end. */
export interface FrameStream {
  /** False: enough waits to be written; go on at `onDrain`. */
  write(frame: Uint8Array): boolean;
  onDrain(act: () => void): void;
  onMessage(act: (frame: Uint8Array) => void): void;
  /** Called once, with the reason when it did not end well. */
  onEnd(act: (error?: MqError) => void): void;
  end(): void;
}

/** What the owner of a link hears of it. */
export interface LinkEvents {
  /** The broker answers as the leader, for the first time or again. */
  serves(): void;
  /** The stream ended, or could not be made, or nothing comes from it while sends wait. */
  broke(): void;
  /** The broker says that it does not lead, and maybe who does. */
  notLeader(leader: KnownLeader | undefined): void;
}

/** In the order of the places; undefined: nobody can read it. */
export type ReadMembers = (places: readonly RemotePlace[]) => Promise<readonly (ReadBody | undefined)[]>;

/** Answers settle calls; a call that is dropped (cancelled) has none. */
type Settle = (answer: WireAnswer | undefined, error: MqError | undefined) => void;

/** A receive's or a pull's answer that is here, while its client has no room for it. */
interface Held {
  readonly answer: WireAnswer;
  readonly bytes: number;
}

/** Answers that are held; one more is given back. The broker asks first where much is to be read. */
const heldBytesMax = 16 * 1024 * 1024;

/** So long sends wait for anything to come before new ones that can go elsewhere do. */
const silentMsMax = 1_000;

/** Frames are kept below gRPC's usual message limits whatever the messages' sizes. */
const frameBytesMax = 8 * 1024 * 1024;

/**
 * `BrokerLink` over one two-way stream: calls gather while a frame is on its way and go out together in the next one,
 * with no timer. When the stream breaks, every open call fails with UNAVAILABLE and the next call opens a new one.
 */
export class GrpcBrokerLink implements BrokerLink {
  private stream: FrameStream | undefined;
  private readonly open = new Map<number, Settle>();
  /** Open sends of message groups. */
  private readonly ordered = new Set<number>();
  /** How the clients of open receives and pulls are asked for room, until they have been. */
  private readonly rooms = new Map<number, AskRoom>();
  private readonly held = new Map<number, Held>();
  private heldBytes = 0;
  private readonly listeners = new Set<(command: ClientCommand) => void>();
  private waiting: WireCall[] = [];
  private waitingBytes = 0;
  private nextId = 1;
  /** Calls from this id on wait to be written. */
  private unwrittenId = 1;
  /** Calls among those waiting that nobody waits for any more. */
  private dropped = 0;
  private blocked = false;
  private scheduled = false;
  private closed = false;
  /** What its owner heard of it last was good. */
  private serving = false;
  /** Since when a send waits and nothing has come; undefined: something has. */
  private unheardMs: number | undefined;
  private silence: Timer | undefined;

  constructor(
    private readonly connect: (path: string) => FrameStream,
    private readonly clock: Clock,
    private readonly events?: LinkEvents,
    /** Reads at members what the leader leaves to them; left out: the leader reads all. */
    private readonly readMembers?: ReadMembers,
    /** Bytes of calls that wait to be written before new ones are refused. */
    private readonly waitingBytesMax = 64 * 1024 * 1024,
  ) {}

  send(call: SendCall, done: Done<SendResult>): void {
    if (this.waitingBytes > this.waitingBytesMax) {
      done(full(), undefined);
      return;
    }
    const nowMs = this.clock.monotonicMs();
    this.unheardMs ??= nowMs;
    this.silence ??= this.clock.after(silentMsMax, this.listenAgain);
    const id = this.call({ $case: 'send', value: sendToWire(call, nowMs) }, (answer, error) => {
      if (error) done(error, undefined);
      else done(undefined, sendResult(answer));
    });
    if (call.groupHash !== 0 && this.open.has(id)) this.ordered.add(id);
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    const readsMembers = this.readMembers !== undefined;
    let over = false;
    const id = this.call({ $case: 'receive', value: receiveToWire({ ...call, readsMembers }) }, (answer, error) => {
      if (error) {
        done(error, undefined);
        return;
      }
      const messages = (answer?.receive?.messages ?? []).map(deliveredFromWire);
      if (!this.readMembers || !messages.some(isElsewhere)) {
        done(undefined, { messages });
        return;
      }
      const handBack = (): void => this.handBack({ receipts: messages.map(({ receipt }) => receipt) }, () => undefined);
      withBodies(this.readMembers, messages).then(
        (whole) => (over ? handBack() : done(undefined, { messages: whole })),
        (caught: unknown) => {
          handBack();
          if (!over) done(MqError.from(caught), undefined);
        },
      );
    });
    if (call.askRoom && this.open.has(id)) this.rooms.set(id, call.askRoom);
    return () => {
      over = true;
      this.cancel(id);
    };
  }

  ack(call: AckCall, done: Done<void>): void {
    this.call({ $case: 'ack', value: { receipt: receiptToWire(call.receipt) } }, plain(done));
  }

  changeInvisible(call: ChangeInvisibleCall, done: Done<ChangeInvisibleResult>): void {
    const { receipt, invisibleMs, suspend = false } = call;
    const value = { receipt: receiptToWire(receipt), invisibleMs, suspend };
    this.call({ $case: 'changeInvisible', value }, (answer, error) => {
      if (error) done(error, undefined);
      else done(undefined, { receipt: answer?.receipt ? receiptFromWire(answer.receipt) : call.receipt });
    });
  }

  handBack(call: HandBackCall, done: Done<void>): void {
    this.call({ $case: 'handBack', value: { receipts: call.receipts.map(receiptToWire) } }, plain(done));
  }

  deadLetter(call: DeadLetterCall, done: Done<void>): void {
    this.call({ $case: 'deadLetter', value: deadLetterToWire(call) }, plain(done));
  }

  /** A newer report takes the place of one that still waits to be written. */
  reportSessions(report: SessionReport): void {
    const call: WireCall = { id: 0, call: { $case: 'sessions', value: reportToWire(report) } };
    const before = this.waiting.findIndex((waiting) => waiting.call?.$case === 'sessions');
    if (before >= 0) this.waiting[before] = call;
    else this.post(call);
  }

  clientGone(call: ClientGoneCall, done: Done<void>): void {
    this.call({ $case: 'clientGone', value: clientGoneToWire(call) }, plain(done));
  }

  recall({ place }: RecallCall, done: Done<RecallResult>): void {
    this.call({ $case: 'recall', value: { place: placeToWire(place) } }, (answer, error) => {
      if (error) done(error, undefined);
      else done(undefined, { messageId: answer?.recall?.messageId ?? '' });
    });
  }

  endTransaction(call: EndTransactionCall, done: Done<void>): void {
    this.call({ $case: 'endTransaction', value: endTransactionToWire(call) }, plain(done));
  }

  pull(call: PullCall, done: Done<PullResult>): () => void {
    const readsMembers = this.readMembers !== undefined;
    let over = false;
    const id = this.call({ $case: 'pull', value: pullToWire({ ...call, readsMembers }) }, (answer, error) => {
      if (error) {
        done(error, undefined);
        return;
      }
      const result = pullResultFromWire(answer?.pull);
      if (!this.readMembers || !result.messages.some(isElsewhere)) {
        done(undefined, result);
        return;
      }
      withBodies(this.readMembers, result.messages).then(
        (messages) => {
          if (!over) done(undefined, { ...result, messages });
        },
        (caught: unknown) => {
          if (!over) done(MqError.from(caught), undefined);
        },
      );
    });
    if (call.askRoom && this.open.has(id)) this.rooms.set(id, call.askRoom);
    return () => {
      over = true;
      this.cancel(id);
    };
  }

  offsets(call: OffsetsCall, done: Done<OffsetsResult>): void {
    this.call({ $case: 'offsets', value: offsetsToWire(call) }, (answer, error) => {
      if (error) done(error, undefined);
      else done(undefined, offsetsResultFromWire(answer?.offsets));
    });
  }

  syncLite(call: LiteSyncCall, done: Done<void>): void {
    this.call({ $case: 'liteSync', value: liteSyncToWire(call) }, plain(done));
  }

  /** The broker learns which proxy this is from its session reports. */
  onCommand(_proxyId: string, listener: (command: ClientCommand) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  commandAnswered(answer: CommandAnswer): void {
    this.post({ id: 0, call: { $case: 'commandAnswer', value: { ...answer } } });
  }

  /**
   * Another leads by now. What comes next of a message group goes there, so what is open of it must not be waited for here:
   * it fails, to be repeated there first. All else may still be answered.
   */
  endOrder(): void {
    for (const id of this.ordered) {
      const settle = this.open.get(id);
      this.open.delete(id);
      settle?.(undefined, new MqError('UNAVAILABLE', 'another broker leads by now'));
    }
    this.ordered.clear();
  }

  /** A leader that stands still closes no connection. */
  private readonly listenAgain = (): void => {
    this.silence = undefined;
    if (this.unheardMs === undefined || this.closed) return;
    const leftMs = this.unheardMs + silentMsMax - this.clock.monotonicMs();
    if (leftMs > 0) this.silence = this.clock.after(leftMs, this.listenAgain);
    else {
      this.serving = false;
      this.events?.broke();
    }
  };

  close(): void {
    this.closed = true;
    this.silence?.cancel();
    this.stream?.end();
    this.lost(new MqError('UNAVAILABLE', 'the link to the broker was closed'));
  }

  private call(call: NonNullable<WireCall['call']>, settle: Settle): number {
    const id = this.nextId;
    this.nextId += 1;
    if (this.closed || this.waitingBytes > this.waitingBytesMax) {
      settle(undefined, this.closed ? new MqError('UNAVAILABLE', 'the link to the broker was closed') : full());
      return id;
    }
    this.open.set(id, settle);
    this.post({ id, call });
    return id;
  }

  private cancel(id: number): void {
    if (!this.open.delete(id)) return;
    this.rooms.delete(id);
    const held = this.release(id);
    if (held) this.giveBack(held.answer);
    else if (id >= this.unwrittenId) this.dropUnwritten();
    else this.post({ id: 0, call: { $case: 'cancel', value: { id } } });
  }

  /** The broker has not heard of the call, nor will it. All that were dropped are taken out together. */
  private dropUnwritten(): void {
    this.dropped += 1;
    if (2 * this.dropped > this.waiting.length) this.takeOutDropped();
  }

  private takeOutDropped(): void {
    this.dropped = 0;
    this.waiting = this.waiting.filter(({ id }) => id === 0 || this.open.has(id));
    this.waitingBytes = this.waiting.reduce((sum, call) => sum + bytesOf(call), 0);
  }

  /** What has no answer is not refused: there is one of each for a call that was written, or an answer that came. */
  private post(call: WireCall): void {
    this.waiting.push(call);
    this.waitingBytes += bytesOf(call);
    if (this.scheduled || this.blocked || this.closed) return;
    this.scheduled = true;
    this.clock.soon(this.flush);
  }

  private readonly flush = (): void => {
    this.scheduled = false;
    while (this.waiting.length > 0 && !this.blocked && !this.closed) {
      const frame = this.encoded(this.takeFrame());
      if (frame) this.blocked = !this.connected().write(frame);
    }
  };

  /** A call that can't be written fails alone: those beside it are sent, and the process goes on. */
  private encoded(calls: WireCall[]): Uint8Array | undefined {
    try {
      return encodeLinkFrame({ calls, answers: [], commands: [] });
    } catch (caught) {
      if (calls.length !== 1) {
        const good = calls.filter((call) => this.encoded([call]) !== undefined);
        return good.length === 0 ? undefined : encodeLinkFrame({ calls: good, answers: [], commands: [] });
      }
      const error = MqError.from(caught);
      const [{ id }] = calls as [WireCall];
      const settle = this.open.get(id);
      this.open.delete(id);
      this.rooms.delete(id);
      this.ordered.delete(id);
      settle?.(undefined, error);
      return undefined;
    }
  }

  private takeFrame(): WireCall[] {
    if (this.dropped > 0) this.takeOutDropped();
    let bytes = 0;
    let count = 0;
    for (const call of this.waiting) {
      const more = bytesOf(call);
      if (count > 0 && bytes + more > frameBytesMax) break;
      bytes += more;
      count += 1;
      if (call.id !== 0) this.unwrittenId = call.id + 1;
    }
    const calls = count === this.waiting.length ? this.waiting : this.waiting.slice(0, count);
    this.waiting = this.waiting.slice(count);
    this.waitingBytes -= bytes;
    return calls;
  }

  private connected(): FrameStream {
    if (this.stream) return this.stream;
    const stream = this.connect(exchangePath);
    this.stream = stream;
    this.blocked = false;
    stream.onDrain(() => {
      this.blocked = false;
      this.flush();
    });
    stream.onMessage((frame) => {
      this.unheardMs = undefined;
      const { answers, commands } = decodeLinkFrame(frame);
      for (const answer of answers) this.answered(answer);
      for (const command of commands) this.commanded(command);
    });
    stream.onEnd((error) => {
      if (this.stream !== stream) return;
      this.lost(error ?? new MqError('UNAVAILABLE', 'the broker ended the link'));
    });
    return stream;
  }

  private answered(answer: WireAnswer): void {
    if (answer.roomBytes > 0) {
      this.roomAsked(answer);
      return;
    }
    const askRoom = this.rooms.get(answer.id);
    this.rooms.delete(answer.id);
    const bytes = askRoom ? messageBytes(answer) : 0;
    if (askRoom && bytes > 0) {
      if (this.heldBytes + bytes > heldBytesMax) this.tooMuch(answer);
      else if (askRoom(bytes, () => this.settle(this.release(answer.id)?.answer))) this.settle(answer);
      else this.hold(answer, bytes);
    } else this.settle(answer);
  }

  /** The broker has much to read for a call. Asked once, so the answer itself comes without being asked for. */
  private roomAsked({ id, roomBytes }: WireAnswer): void {
    const askRoom = this.rooms.get(id);
    this.rooms.delete(id);
    const granted = (): void => this.post({ id: 0, call: { $case: 'room', value: { id } } });
    if (!askRoom || askRoom(roomBytes, granted)) granted();
  }

  /** A copy: the frame it came in may be much larger, and goes. */
  private hold(answer: WireAnswer, bytes: number): void {
    const copied = <T extends { payload: Uint8Array }>(message: T): T => ({
      ...message,
      payload: new Uint8Array(message.payload),
    });
    const { receive, pull } = answer;
    this.held.set(answer.id, {
      answer: {
        ...answer,
        receive: receive && { messages: receive.messages.map(copied) },
        pull: pull && { ...pull, messages: pull.messages.map(copied) },
      },
      bytes,
    });
    this.heldBytes += bytes;
  }

  private release(id: number): Held | undefined {
    const held = this.held.get(id);
    if (!held) return undefined;
    this.held.delete(id);
    this.heldBytes -= held.bytes;
    return held;
  }

  private tooMuch(answer: WireAnswer): void {
    this.giveBack(answer);
    const settle = this.open.get(answer.id);
    this.open.delete(answer.id);
    settle?.(
      undefined,
      new MqError('TOO_MANY_REQUESTS', 'clients of this node leave too much unread; try again later'),
    );
  }

  private settle(answer: WireAnswer | undefined): void {
    if (!answer) return;
    const settle = this.open.get(answer.id);
    this.open.delete(answer.id);
    if (this.ordered.size > 0) this.ordered.delete(answer.id);
    const error = answer.error && errorFromWire(answer.error);
    if (error instanceof NotLeader) this.notLeader(error);
    else if (!this.serving && !error) this.serves();
    // A poll was taken back while its answer was on its way: nobody has these messages.
    if (!settle) this.giveBack(answer);
    settle?.(answer, error);
  }

  private serves(): void {
    this.serving = true;
    this.events?.serves();
  }

  private notLeader({ leader }: NotLeader): void {
    this.serving = false;
    this.events?.notLeader(leader);
  }

  private giveBack({ receive }: WireAnswer): void {
    const receipts = receive?.messages.flatMap(({ receipt }) => receipt ?? []) ?? [];
    if (receipts.length > 0) this.post({ id: 0, call: { $case: 'handBack', value: { receipts } } });
  }

  private commanded(wire: internal.ClientCommand): void {
    const command = commandFromWire(wire);
    if (command) for (const listener of this.listeners) listener(command);
  }

  /** The stream is gone: nobody will answer what is open, whether it had been written or not. */
  private lost(cause: MqError): void {
    this.stream = undefined;
    this.blocked = false;
    this.waiting = [];
    this.waitingBytes = 0;
    this.dropped = 0;
    this.unwrittenId = this.nextId;
    this.rooms.clear();
    this.ordered.clear();
    this.unheardMs = undefined;
    const settles: Settle[] = [];
    for (const [id, settle] of this.open) {
      if (this.held.has(id)) continue; // Its answer is here.
      settles.push(settle);
      this.open.delete(id);
    }
    const error = new MqError('UNAVAILABLE', `the link to the broker broke: ${cause.reason}`, { cause });
    for (const settle of settles) settle(undefined, error);
    this.serving = false;
    if (!this.closed) this.events?.broke();
  }
}

function full(): MqError {
  return new MqError('TOO_MANY_REQUESTS', 'the link to the broker is full; call more slowly');
}

/** What a call takes while it waits, about. Not of a report: a newer one takes its place. */
function bytesOf({ call }: WireCall): number {
  switch (call?.$case) {
    case 'send':
      return callBytes + call.value.message.length + call.value.envelope.length;
    case 'receive':
    case 'pull':
      return callBytes + (call.value.filter?.expression.length ?? 0);
    case 'liteSync':
      return callBytes + call.value.liteTopics.length * callBytes;
    case 'handBack':
      return callBytes + call.value.receipts.length * callBytes;
    case 'sessions':
      return 0;
    default:
      return callBytes;
  }
}
/** Of a call without its message: names, numbers and what is kept to answer it. */
const callBytes = 256;

function sendResult(answer: WireAnswer | undefined): SendResult {
  const offset = (answer?.send?.offset ?? 0) as SendResult['offset'];
  const pending = answer?.send?.pending;
  return pending ? { offset, pending: placeFromWire(pending) } : { offset };
}

function isElsewhere({ place }: { readonly place?: RemotePlace | undefined }): boolean {
  return place !== undefined;
}

/** Those that can be read; the others come again when their lease ends. */
async function withBodies<T extends { readonly place?: RemotePlace | undefined }>(
  read: ReadMembers,
  messages: readonly T[],
): Promise<T[]> {
  const bodies = await read(messages.flatMap(({ place }) => place ?? []));
  let next = 0;
  return messages.flatMap((message) => {
    if (!message.place) return [message];
    const body = bodies[next];
    next += 1;
    return body ? [{ ...message, ...body, place: undefined }] : [];
  });
}

function plain(done: Done<void>): Settle {
  return (_, error) => done(error, undefined);
}
