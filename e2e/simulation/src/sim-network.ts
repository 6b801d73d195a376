/**
 * What lies between processes: calls and answers take time, keep their order on one connection, and are lost with it. A
 * caller is told so (UNAVAILABLE); whether the call had its effect it is not told.
 */
import type {
  BrokerLink,
  ClientCommand,
  Delivered,
  DirectoryUpdate,
  Done,
  NameService,
  PullCall,
  PullResult,
  ReceiveCall,
  ReceiveResult,
  SetRegistry,
} from '@cometmq/client';
import { MqError, type Prng } from '@cometmq/shared';

import type { SimProcess } from './sim-clock.js';

/** One direction of a connection. */
export class Wire {
  private lastMs = 0;

  constructor(
    private readonly from: SimProcess,
    private readonly chance: Prng,
  ) {}

  /** Arrives later, after all that was sent before. */
  send(act: () => void): void {
    const slow = this.chance.below(100) === 0;
    const atMs = Math.max(this.lastMs, this.from.monotonicMs() + 0.1 + this.chance.next() * (slow ? 200 : 2));
    this.lastMs = atMs;
    this.from.after(atMs - this.from.monotonicMs(), act);
  }
}

const lost = (): MqError => new MqError('UNAVAILABLE', 'the connection to the broker broke');

interface Flight {
  fail(): void;
}

/** A proxy's link to a broker set: to whichever process of it runs now. */
export class SimLink implements BrokerLink {
  private broker: BrokerLink | undefined;
  private connection = 0;
  private readonly flights = new Set<Flight>();
  private readonly listeners = new Map<string, (command: ClientCommand) => void>();
  private there: Wire;
  private back: Wire;

  constructor(
    private readonly proxy: SimProcess,
    private readonly chance: Prng,
  ) {
    this.there = new Wire(proxy, chance);
    this.back = new Wire(proxy, chance);
  }

  /** Undefined: it can't be reached. What was under way is lost. */
  connect(broker: BrokerLink | undefined): void {
    this.broker = broker;
    this.connection += 1;
    this.there = new Wire(this.proxy, this.chance);
    this.back = new Wire(this.proxy, this.chance);
    for (const flight of [...this.flights]) flight.fail();
    if (!broker) return;
    for (const [proxyId, listener] of this.listeners) this.listen(broker, proxyId, listener);
  }

  send: BrokerLink['send'] = (call, done) => void this.ask((broker, answer) => void broker.send(call, answer), done);
  ack: BrokerLink['ack'] = (call, done) => void this.ask((broker, answer) => void broker.ack(call, answer), done);
  changeInvisible: BrokerLink['changeInvisible'] = (call, done) =>
    void this.ask((broker, answer) => void broker.changeInvisible(call, answer), done);
  handBack: BrokerLink['handBack'] = (call, done) =>
    void this.ask((broker, answer) => void broker.handBack(call, answer), done);
  deadLetter: BrokerLink['deadLetter'] = (call, done) =>
    void this.ask((broker, answer) => void broker.deadLetter(call, answer), done);
  recall: BrokerLink['recall'] = (call, done) =>
    void this.ask((broker, answer) => void broker.recall(call, answer), done);
  endTransaction: BrokerLink['endTransaction'] = (call, done) =>
    void this.ask((broker, answer) => void broker.endTransaction(call, answer), done);
  offsets: BrokerLink['offsets'] = (call, done) =>
    void this.ask((broker, answer) => void broker.offsets(call, answer), done);
  syncLite: BrokerLink['syncLite'] = (call, done) =>
    void this.ask((broker, answer) => void broker.syncLite(call, answer), done);
  clientGone: BrokerLink['clientGone'] = (call, done) =>
    void this.ask((broker, answer) => void broker.clientGone(call, answer), done);

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    return this.ask(
      (broker, answer) => broker.receive(call, answer),
      done,
      ({ messages }) => this.giveBack(messages),
    );
  }
  pull(call: PullCall, done: Done<PullResult>): () => void {
    return this.ask((broker, answer) => broker.pull(call, answer), done);
  }
  reportSessions: BrokerLink['reportSessions'] = (report) => this.tell((broker) => broker.reportSessions(report));
  commandAnswered: BrokerLink['commandAnswered'] = (answer) => this.tell((broker) => broker.commandAnswered(answer));

  onCommand(proxyId: string, listener: (command: ClientCommand) => void): () => void {
    this.listeners.set(proxyId, listener);
    if (this.broker) this.listen(this.broker, proxyId, listener);
    return () => this.listeners.delete(proxyId);
  }

  private listen(broker: BrokerLink, proxyId: string, listener: (command: ClientCommand) => void): void {
    const { connection } = this;
    broker.onCommand(proxyId, (command) => {
      if (connection === this.connection) this.back.send(() => connection === this.connection && listener(command));
    });
  }

  private tell(act: (broker: BrokerLink) => void): void {
    const { broker, connection } = this;
    if (broker) this.there.send(() => connection === this.connection && act(broker));
  }

  /** @param unwanted what to do with an answer that comes when nobody waits any more */
  private ask<T>(
    act: (broker: BrokerLink, answer: Done<T>) => (() => void) | void,
    done: Done<T>,
    unwanted: (result: T) => void = () => undefined,
  ): () => void {
    const { broker, connection } = this;
    let over = false;
    let cancelThere: (() => void) | void;
    const finish = (...answer: Parameters<Done<T>>): void => {
      this.flights.delete(flight);
      if (over) return;
      over = true;
      done(...answer);
    };
    const flight: Flight = { fail: () => this.proxy.soon(() => finish(lost(), undefined)) };
    this.flights.add(flight);
    if (!broker) flight.fail();
    else {
      this.there.send(() => {
        if (connection !== this.connection) return;
        cancelThere = act(broker, (error, result) => {
          if (connection !== this.connection) return;
          this.back.send(() => {
            if (connection !== this.connection) return;
            if (over && result !== undefined) unwanted(result);
            finish(error, result);
          });
        });
      });
    }
    return () => {
      over = true;
      this.flights.delete(flight);
      this.tell(() => cancelThere?.());
    };
  }

  private giveBack(messages: readonly Delivered[]): void {
    if (messages.length > 0) this.handBack({ receipts: messages.map(({ receipt }) => receipt) }, () => undefined);
  }
}

/** The name service as a process far from it sees it. What a process that is over asked for is never answered. */
export function farNaming(nameService: NameService, process: SimProcess, chance: Prng): NameService {
  const there = new Wire(process, chance);
  const back = new Wire(process, chance);
  const watch = (listener: (update: DirectoryUpdate) => void): (() => void) =>
    nameService.watch((update) => back.send(() => listener(update)));
  return far(nameService, there, back, { watch });
}

/** The same of the registry of sets. */
export function farRegistry(registry: SetRegistry, process: SimProcess, chance: Prng): SetRegistry {
  return far(registry, new Wire(process, chance), new Wire(process, chance), {});
}

function far<T extends object>(near: T, there: Wire, back: Wire, own: Partial<T>): T {
  return new Proxy(near, {
    get: (of, name) => {
      const ours: unknown = Reflect.get(own, name);
      if (ours !== undefined) return ours;
      const found: unknown = Reflect.get(of, name);
      if (typeof found !== 'function') return found;
      const act = found as (...args: unknown[]) => Promise<unknown>;
      return (...args: unknown[]): Promise<unknown> =>
        new Promise((resolve, reject) => {
          there.send(() => {
            act.apply(of, args).then(
              (answer) => back.send(() => resolve(answer)),
              (caught: Error) => back.send(() => reject(caught)),
            );
          });
        });
    },
  });
}
