/**
 * What brokers want said to clients: each command goes, in the protocol's words, to the newest Telemetry stream that this
 * node holds of the client. Answers go back to all brokers: the one that asked knows its nonce.
 */
import type { BrokerLink, BrokerLinks, ClientCommand, CommandAnswer, Directory } from '@cometmq/client';
import { TelemetryCommand } from '@cometmq/proto';

import type { SessionRegistry } from './sessions.js';

/** The protocol's word for a command of a broker set. Undefined: nothing can be said (any more), for want of a topic, say. */
export type CommandWriter = (command: ClientCommand, broker: string) => TelemetryCommand['command'] | undefined;

export interface ClientCommandParts {
  readonly directory: Directory;
  readonly links: BrokerLinks;
  readonly proxyId: string;
}

/** Operators ask one by one and wait some seconds. */
const askedMax = 1_000;

export class CommandDelivery {
  /** Links that were asked for commands. A link that is gone is forgotten with its object. */
  private readonly heard = new WeakSet<BrokerLink>();
  /** Who was asked what, by the question's nonce; the oldest are forgotten. */
  private readonly asked = new Map<string, string>();

  constructor(
    private readonly parts: ClientCommandParts,
    private readonly sessions: SessionRegistry,
    private readonly write: CommandWriter,
  ) {}

  /** Listens to every broker set that is known now. To be called again as they come and go. */
  listen(): void {
    for (const { name } of this.parts.directory.brokerSets()) {
      const link = this.parts.links.link(name);
      if (!link || this.heard.has(link)) continue;
      this.heard.add(link);
      link.onCommand(this.parts.proxyId, (command) => this.tell(command, name));
    }
  }

  /** A client has answered what it was asked. What nobody asked it is not passed on. */
  answered(clientId: string, answer: CommandAnswer): void {
    if (this.asked.get(answer.nonce) !== clientId) return;
    this.asked.delete(answer.nonce);
    for (const { name } of this.parts.directory.brokerSets()) this.parts.links.link(name)?.commandAnswered(answer);
  }

  private tell(command: ClientCommand, broker: string): void {
    const stream = this.sessions.get(command.clientId)?.stream;
    const word = stream && this.write(command, broker);
    if (!word || !stream.push(TelemetryCommand.encode({ status: undefined, command: word }).finish())) return;
    if (!('nonce' in command)) return;
    this.asked.set(command.nonce, command.clientId);
    if (this.asked.size <= askedMax) return;
    const [oldest] = this.asked.keys();
    if (oldest !== undefined) this.asked.delete(oldest);
  }
}
