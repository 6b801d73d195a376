import type { ClientCommand, CommandAnswer } from '@cometmq/client';
import { MqError, type Clock, type Timer } from '@cometmq/shared';

import type { StreamIndex } from './stream-index.js';

type Listener = (command: ClientCommand) => void;
/** A command that is answered, before it has its nonce. */
type Question = DistributiveOmit<Extract<ClientCommand, { readonly nonce: string }>, 'nonce'>;
type DistributiveOmit<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never;

/** How long a client may take to answer (grpc semantics, section 6.5). */
const answerMsMax = 5_000;
/** Questions under way at once; operators ask them, one client at a time. */
const questionsMax = 1_000;

/** What this broker says to clients, through the proxies that hold their Telemetry streams. */
export class ClientCommands {
  private readonly proxies = new Map<string, Listener>();
  private readonly open = new Map<string, { readonly done: (answer: CommandAnswer) => void; readonly timer: Timer }>();
  private asked = 0;

  constructor(
    private readonly holders: StreamIndex,
    private readonly clock: Clock,
    /** Begins each nonce, so that brokers' questions are told apart. */
    private readonly brokerName: string,
  ) {}

  listen(proxyId: string, listener: Listener): () => void {
    this.proxies.set(proxyId, listener);
    return () => {
      if (this.proxies.get(proxyId) === listener) this.proxies.delete(proxyId);
    };
  }

  /** Whether somebody could be told. */
  reaches(clientId: string): boolean {
    return this.listenerFor(clientId) !== undefined;
  }

  /** False: no proxy that is connected holds a stream of the client. True is no promise that it arrives. */
  tell(command: ClientCommand): boolean {
    const listener = this.listenerFor(command.clientId);
    listener?.(command);
    return listener !== undefined;
  }

  /** @throws MqError NOT_FOUND when nobody holds a stream of the client, TIMEOUT when it does not answer */
  ask(question: Question): Promise<CommandAnswer> {
    if (this.open.size >= questionsMax) {
      throw new MqError('TOO_MANY_REQUESTS', `${questionsMax} questions to clients are open already`);
    }
    const nonce = `${this.brokerName}-${(this.asked += 1)}-${this.clock.wallMs()}`;
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(answerMsMax, () => {
        this.open.delete(nonce);
        reject(new MqError('TIMEOUT', `client "${question.clientId}" has not answered within ${answerMsMax} ms`));
      });
      this.open.set(nonce, { done: resolve, timer });
      if (this.tell({ ...question, nonce })) return;
      this.open.delete(nonce);
      timer.cancel();
      reject(new MqError('NOT_FOUND', `no proxy holds an open stream of client "${question.clientId}"`));
    });
  }

  /** Late answers, and those to nothing, are left alone. */
  answered(answer: CommandAnswer): void {
    const question = this.open.get(answer.nonce);
    if (!question) return;
    this.open.delete(answer.nonce);
    question.timer.cancel();
    question.done(answer);
  }

  private listenerFor(clientId: string): Listener | undefined {
    for (const proxyId of this.holders.holdersOf(clientId)) {
      const listener = this.proxies.get(proxyId);
      if (listener) return listener;
    }
    return undefined;
  }
}
