import type { AuditLog } from '@cometmq/auth';
import type { Directory } from '@cometmq/client';
import type { BrokerSet } from '@cometmq/model';
import type { Component } from '@cometmq/shared';

interface Lead {
  readonly epoch: number;
  readonly leader: string;
}

/**
 * Changes of leader in the audit log, whoever decided them: an operator's are there as his calls, too; those that broker sets
 * decide by themselves would be missing. What was so when this process began is no change.
 */
export class LeaderAudit implements Component {
  readonly name = 'audit of leaders';
  private readonly leads = new Map<string, Lead>();
  private forget: (() => void) | undefined;

  constructor(
    private readonly directory: Directory,
    private readonly audit: AuditLog,
  ) {}

  start(): Promise<void> {
    for (const set of this.directory.brokerSets()) this.look(set, false);
    this.forget = this.directory.onUpdate((update) => {
      if (update.kind === 'broker') this.look(update.broker, true);
      else if (update.kind === 'snapshot') for (const set of update.brokers) this.look(set, true);
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.forget?.();
    return Promise.resolve();
  }

  private look({ name, epoch, leaderMember }: BrokerSet, isChange: boolean): void {
    const before = this.leads.get(name);
    if (leaderMember === undefined || (before && epoch <= before.epoch)) return;
    const after = { epoch, leader: leaderMember };
    this.leads.set(name, after);
    if (!isChange) return;
    const said = { how: 'none', from: '', operation: 'leaderChanged', target: { brokerSet: name } } as const;
    void this.audit.record({ ...said, ...(before && { before }), after, decision: 'done' });
  }
}
