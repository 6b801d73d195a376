import type { ClientCommand, CommandAnswer, SessionReport } from '@cometmq/client';
import type { GroupId } from '@cometmq/model';
import { type Clock, OwnStalls } from '@cometmq/shared';

import { ClientCommands } from './client-commands.js';
import { DepartedClients } from './departed-clients.js';
import { MemberSessions } from './member-sessions.js';
import { ProducerSessions } from './producer-sessions.js';
import { StreamIndex } from './stream-index.js';

/** Between two sweeps. */
export const sweepEveryMs = 5_000;

/** Who is connected, as the proxies report it, and how to say something to them. Soft state: nothing of it is in the log. */
export class Clients {
  readonly sessions: MemberSessions;
  readonly producers = new ProducerSessions();
  readonly commands: ClientCommands;
  private readonly holders = new StreamIndex();
  private readonly departed = new DepartedClients();
  private readonly stalls: OwnStalls;

  constructor(
    private readonly clock: Clock,
    brokerName: string,
  ) {
    this.stalls = new OwnStalls(sweepEveryMs, clock.monotonicMs());
    this.sessions = new MemberSessions(clock.monotonicMs());
    this.commands = new ClientCommands(this.holders, clock, brokerName);
  }

  /** A term begins: nobody is judged dead before all that live have had the time to be reported here. */
  beginTerm(): void {
    this.sessions.beginTerm(this.clock.monotonicMs());
  }

  report(reported: SessionReport): void {
    const nowMs = this.clock.monotonicMs();
    const report = this.departed.living(reported);
    this.sessions.report(report, nowMs);
    this.producers.report(report, nowMs);
    this.holders.report(report, nowMs);
  }

  onCommand(proxyId: string, listener: (command: ClientCommand) => void): () => void {
    return this.commands.listen(proxyId, listener);
  }

  commandAnswered(answer: CommandAnswer): void {
    this.commands.answered(answer);
  }

  /** It asks for something, so it is there. */
  asks(clientId: string): void {
    this.departed.back(clientId);
  }

  /** It said good-bye. */
  gone(groupId: GroupId, clientId: string): void {
    this.departed.gone(clientId, this.clock.monotonicMs());
    this.sessions.gone(groupId, clientId);
    this.producers.gone(clientId);
  }

  /** Forgets who was not heard of for too long. Answers the members among them. */
  sweep(): { groupId: GroupId; clientId: string }[] {
    const nowMs = this.clock.monotonicMs();
    if (this.stalls.stoodStill(nowMs)) {
      this.sessions.heardAll(nowMs);
      return [];
    }
    this.producers.sweep(nowMs);
    this.holders.sweep(nowMs);
    this.departed.sweep(nowMs);
    return this.sessions.sweep(nowMs);
  }
}
