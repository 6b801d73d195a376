import {
  clientGoneFromWire,
  commandToWire,
  deadLetterFromWire,
  decodeLinkFrame,
  deliveredToWire,
  encodeLinkFrame,
  endTransactionFromWire,
  errorToWire,
  liteSyncFromWire,
  messageBytes,
  offsetsFromWire,
  placeFromWire,
  placeToWire,
  pullFromWire,
  pullResultToWire,
  receiptFromWire,
  receiptToWire,
  receiveFromWire,
  reportFromWire,
  sendFromWire,
  type AskRoom,
  type BrokerLink,
  type ClientCommand,
  type DeliveryLease,
  type SendResult,
  type WireAnswer,
  type WireCall,
} from '@cometmq/client';
import type { internal } from '@cometmq/proto';
import type { BidiHandler, MessageSink } from '@cometmq/rpc';
import { MqError, unreachable, type Clock, type Turns } from '@cometmq/shared';

import { LinkMeter } from './link-meter.js';

/** Answers are cut into frames of about this size, so that one large receive does not hold up the others. */
const frameBytesMax = 4 * 1024 * 1024;
/** Commands that wait for a proxy that does not read; more are left out: what they say is said again, or asked anew. */
const commandsMax = 10_000;

/** A link that is open. Proxies never end theirs; a broker that stops has to. */
export interface Link {
  /** Sends what has gathered, and ends the stream in good order. */
  close(): void;
}

/** What a leader is told of links beside the calls on them. */
export interface LinkedBroker extends BrokerLink {
  /** The link has ended, and maybe its proxy with it. */
  linkLost?(lost: LostLink): void;
}

export interface LostLink {
  /** Connections of the calls that came on it begin so. */
  readonly prefix: string;
  /** What its proxy said last; undefined: nothing yet. */
  readonly report: { readonly agoMs: number; readonly unconfirmed: readonly DeliveryLease[] } | undefined;
}

/** Calls of a link under the names that their clients' calls have on boards; those that nobody waits for have none. */
const requestNames: Readonly<Record<string, string | undefined>> = {
  send: 'SendMessage',
  receive: 'ReceiveMessage',
  ack: 'AckMessage',
  changeInvisible: 'ChangeInvisibleDuration',
  deadLetter: 'ForwardMessageToDeadLetterQueue',
  clientGone: 'NotifyClientTermination',
  recall: 'RecallMessage',
  endTransaction: 'EndTransaction',
  pull: 'PullMessage',
  offsets: 'QueryOffset',
  liteSync: 'SyncLiteSubscription',
};

let linkCount = 0;

/**
 * The far end of a proxy's link: calls of a frame are made one after the other in this turn of the event loop, answers
 * gather and go out together. A proxy that stops reading is not read from either, so nothing grows without bound.
 */
export function exchange(
  broker: LinkedBroker,
  clock: Clock,
  links = new Set<Link>(),
  meter = new LinkMeter(),
): BidiHandler {
  return (call, input, out) => {
    const answers = new AnswerQueue(out, input, clock);
    const waits = new Map<number, () => void>();
    const prefix = `${(linkCount += 1)}:`;
    const rooms = new Rooms(answers);
    let hush: (() => void) | undefined;
    let report: { readonly atMs: number; readonly unconfirmed: readonly DeliveryLease[] } | undefined;
    links.add(answers);
    const end = (): void => {
      if (!links.delete(answers)) return;
      for (const cancel of waits.values()) cancel();
      waits.clear();
      hush?.();
      giveBack(broker, answers.end());
      broker.linkLost?.({
        prefix,
        report: report && { agoMs: clock.monotonicMs() - report.atMs, unconfirmed: report.unconfirmed },
      });
    };
    call.onCancel(end);
    input.onEnd(() => {
      end();
      out.end();
    });
    input.onMessage((bytes) => {
      let frame: internal.LinkFrame;
      try {
        frame = decodeLinkFrame(bytes);
      } catch {
        end(); // Who ends a call hears no more of it.
        out.fail(3, 'not a link frame');
        return;
      }
      for (const wire of frame.calls) {
        // From here on it is known whose clients can be told something on this stream.
        if (wire.call?.$case === 'sessions') {
          hush ??= broker.onCommand(wire.call.value.proxyId, (command) => answers.command(command));
          report = { atMs: clock.monotonicMs(), unconfirmed: wire.call.value.unconfirmed };
        }
        perform(broker, clock, wire, answers, waits, prefix, rooms, meter);
      }
    });
  };
}

function perform(
  broker: BrokerLink,
  clock: Clock,
  { id, call }: WireCall,
  answers: AnswerQueue,
  waits: Map<number, () => void>,
  prefix: string,
  rooms: Rooms,
  meter: LinkMeter,
): void {
  const request = call && requestNames[call.$case];
  const startMs = clock.monotonicMs();
  const add = (given: WireAnswer): void => {
    if (request !== undefined) meter.done(request, given.error?.code ?? 'OK', clock.monotonicMs() - startMs);
    answers.add(given);
  };
  const plain = (error: MqError | undefined): void => add(answer(id, error));
  try {
    switch (call?.$case) {
      case 'send':
        broker.send(sendFromWire(call.value, clock.monotonicMs()), (error, result) => {
          add({ ...answer(id, error), send: result && sendResultToWire(result) });
        });
        break;
      case 'receive': {
        let answered = false;
        const asked = receiveFromWire(call.value, rooms.asker(id));
        const cancel = broker.receive({ ...asked, connection: prefix + (asked.connection ?? '') }, (error, result) => {
          answered = true;
          waits.delete(id);
          const receive = result && { messages: result.messages.map(deliveredToWire) };
          add({ ...answer(id, error), receive });
        });
        if (!answered) waits.set(id, cancel);
        break;
      }
      case 'cancel':
        waits.get(call.value.id)?.();
        waits.delete(call.value.id);
        rooms.forget(call.value.id);
        break;
      case 'room':
        rooms.granted(call.value.id);
        break;
      case 'ack':
        broker.ack({ receipt: receiptFromWire(call.value.receipt) }, plain);
        break;
      case 'changeInvisible': {
        const { receipt, invisibleMs, suspend } = call.value;
        broker.changeInvisible({ receipt: receiptFromWire(receipt), invisibleMs, suspend }, (error, result) =>
          add({ ...answer(id, error), receipt: result && receiptToWire(result.receipt) }),
        );
        break;
      }
      case 'handBack':
        broker.handBack({ receipts: call.value.receipts.map(receiptFromWire) }, plain);
        break;
      case 'deadLetter':
        broker.deadLetter(deadLetterFromWire(call.value), plain);
        break;
      case 'sessions':
        broker.reportSessions(reportFromWire(call.value));
        break;
      case 'clientGone':
        broker.clientGone(clientGoneFromWire(call.value), plain);
        break;
      case 'recall':
        broker.recall({ place: placeFromWire(call.value.place) }, (error, result) =>
          add({ ...answer(id, error), recall: result && { ...result } }),
        );
        break;
      case 'endTransaction':
        broker.endTransaction(endTransactionFromWire(call.value), plain);
        break;
      case 'pull': {
        let answered = false;
        const cancel = broker.pull(pullFromWire(call.value, rooms.asker(id)), (error, result) => {
          answered = true;
          waits.delete(id);
          add({ ...answer(id, error), pull: result && pullResultToWire(result) });
        });
        if (!answered) waits.set(id, cancel);
        break;
      }
      case 'offsets':
        broker.offsets(offsetsFromWire(call.value), (error, result) =>
          add({ ...answer(id, error), offsets: result && { offset: result.offset } }),
        );
        break;
      case 'liteSync':
        broker.syncLite(liteSyncFromWire(call.value), plain);
        break;
      case 'commandAnswer':
        broker.commandAnswered(call.value);
        break;
      case undefined:
        plain(new MqError('UNSUPPORTED', 'this broker does not know the call; upgrade brokers before proxies'));
        break;
      default:
        unreachable(call);
    }
  } catch (caught) {
    plain(MqError.from(caught));
  }
}

/** What was handed out and never went on its way: visible again at once. */
function giveBack(broker: BrokerLink, unsent: readonly WireAnswer[]): void {
  const receipts = unsent.flatMap(
    ({ receive }) => receive?.messages.map(({ receipt }) => receiptFromWire(receipt)) ?? [],
  );
  if (receipts.length > 0) broker.handBack({ receipts }, () => undefined);
}

function answer(id: number, error: MqError | undefined): WireAnswer {
  return {
    id,
    error: error && errorToWire(error),
    send: undefined,
    receive: undefined,
    receipt: undefined,
    recall: undefined,
    pull: undefined,
    offsets: undefined,
    roomBytes: 0,
  };
}

function sendResultToWire({ offset, pending }: SendResult): WireAnswer['send'] {
  return { offset, pending: pending && placeToWire(pending) };
}

/**
 * Where messages go to a proxy, and what is read for them before there is room: little, as far as the link takes it; for
 * much the proxy is asked, which knows whether its client reads.
 */
class Rooms {
  private readonly asked = new Map<number, () => void>();

  constructor(private readonly answers: AnswerQueue) {}

  asker(id: number): AskRoom {
    return (bytes, granted) => {
      if (bytes <= unaskedBytesMax) return this.answers.hasRoom(granted);
      this.asked.set(id, granted);
      this.answers.add({ ...answer(id, undefined), roomBytes: bytes });
      return false;
    };
  }

  granted(id: number): void {
    const granted = this.asked.get(id);
    this.asked.delete(id);
    granted?.();
  }

  forget(id: number): void {
    this.asked.delete(id);
  }
}

/** A round trip to the proxy costs more than to hold so much for a client that turns out not to read. */
const unaskedBytesMax = 64 * 1024;
/** Messages that wait to be written to one proxy; above it no more are read. */
const answerBytesMax = 32 * 1024 * 1024;

class AnswerQueue implements Link {
  private waiting: WireAnswer[] = [];
  private waitingBytes = 0;
  private roomWaiters: (() => void)[] = [];
  private commands: internal.ClientCommand[] = [];
  private scheduled = false;
  private blocked = false;
  private ended = false;

  constructor(
    private readonly out: MessageSink,
    private readonly input: { pause(): void; resume(): void },
    private readonly turns: Turns,
  ) {
    out.onDrain(() => {
      this.blocked = false;
      input.resume();
      this.flush();
    });
  }

  add(given: WireAnswer): void {
    if (given.id === 0 || this.ended) return; // Nobody waits for this one.
    this.waiting.push(given);
    this.waitingBytes += messageBytes(given);
    this.schedule();
  }

  /** False: too much waits to be written; `act` runs when it is less. */
  hasRoom(act: () => void): boolean {
    if (this.waitingBytes <= answerBytesMax) return true;
    this.roomWaiters.push(act);
    return false;
  }

  command(given: ClientCommand): void {
    if (this.ended || this.commands.length >= commandsMax) return;
    this.commands.push(commandToWire(given));
    this.schedule();
  }

  close(): void {
    this.flush();
    if (this.out.open) this.out.end();
  }

  /** Nothing goes out any more. Answers what has not. */
  end(): WireAnswer[] {
    this.ended = true;
    const unsent = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    this.roomWaiters = [];
    this.commands = [];
    return unsent;
  }

  private schedule(): void {
    if (this.scheduled || this.blocked) return;
    this.scheduled = true;
    this.turns.soon(this.flush);
  }

  private readonly flush = (): void => {
    this.scheduled = false;
    while (this.waiting.length + this.commands.length > 0 && !this.blocked && this.out.open) {
      const answers = this.takeFrame();
      const commands = this.commands;
      this.commands = [];
      if (this.out.write(encodeLinkFrame({ calls: [], answers, commands }))) continue;
      this.blocked = true;
      this.input.pause();
    }
    if (this.roomWaiters.length === 0 || this.waitingBytes > answerBytesMax) return;
    const acts = this.roomWaiters;
    this.roomWaiters = [];
    for (const act of acts) act();
  };

  private takeFrame(): WireAnswer[] {
    let bytes = 0;
    let count = 0;
    for (const each of this.waiting) {
      const more = messageBytes(each);
      if (count > 0 && bytes + more > frameBytesMax) break;
      bytes += more;
      count += 1;
    }
    this.waitingBytes -= bytes;
    const answers = this.waiting.slice(0, count);
    this.waiting = this.waiting.slice(count);
    return answers;
  }
}
