/**
 * What this process has recorded of who did what goes from its file to the audit topic: each line at least once, in the order in
 * which it was written. The file stays the first truth: what can't be delivered stands there, and is delivered once a broker leads.
 */
import { createHash } from 'node:crypto';
import { homeOfGroup, homeSets } from '@cometmq/model';
import { MqError, sleep, type Clock, type Component, type Timer } from '@cometmq/shared';
import type { LineFile, Logger } from '@cometmq/telemetry';

import type { AuditLine, BrokerAdmin } from './broker-admin.js';
import type { Directory } from './directory.js';

/** Where lines come from. */
export interface LineSource {
  /** Whole lines behind the last that were delivered; undefined: there are none. */
  next(): Promise<LinesToDeliver | undefined>;
}

export interface LinesToDeliver {
  /** The id is the same whenever this line is read. */
  readonly lines: readonly { readonly id: string; readonly text: string }[];
  /** Resolves when it is kept that these were delivered. */
  done(): Promise<void>;
}

export interface AuditDeliveryParts {
  readonly source: LineSource;
  readonly brokers: Pick<BrokerAdmin, 'appendAudit'>;
  readonly directory: Pick<Directory, 'brokerSets'>;
  readonly clock: Clock;
  /** Whose lines they are: role and host. */
  readonly process: string;
  /** Told once when lines can't be delivered, and once when they can again. */
  readonly tell: (level: 'info' | 'warn', said: string, facts: object) => void;
}

/** None where nothing is written to a file, or only to a file. Begins with the first line that was not delivered yet. */
export function auditDeliveriesOf(
  file: LineFile | undefined,
  {
    wanted,
    log,
    ...parts
  }: Omit<AuditDeliveryParts, 'source' | 'tell'> & { readonly wanted: boolean; readonly log: Logger },
): AuditDelivery[] {
  if (!file || !wanted) return [];
  const source = file.cursor();
  const delivery = new AuditDelivery({ ...parts, source, tell: (level, said, facts) => log[level](facts, said) });
  file.mayRoll = () => source.mayRoll;
  file.onLine(() => delivery.wake());
  return [delivery];
}

/** Lines that come within so short a time go together. */
const gatherMs = 200;
const againMsMin = 500;
const againMsMax = 10_000;
/** What was recorded last, before the process ends. */
const lastMsMax = 2_000;
/** That much a call to a broker may carry. */
const linesMax = 1_000;
/** A message group has so many letters at the most. */
const groupLengthMax = 64;

export class AuditDelivery implements Component {
  readonly name = 'delivery of the audit log';
  private readonly group: string;
  private timer: Timer | undefined;
  private under: Promise<void> | undefined;
  /** Lines were written while some were on their way. */
  private more = false;
  private stopped = false;
  private failing = false;
  private againMs = againMsMin;

  constructor(private readonly parts: AuditDeliveryParts) {
    this.group = parts.process.slice(-groupLengthMax);
  }

  start(): Promise<void> {
    this.wake();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    const last = (this.under ?? Promise.resolve()).then(() => (this.failing ? undefined : this.deliver()));
    await Promise.race([last.catch(() => undefined), sleep(this.parts.clock, lastMsMax)]);
  }

  /** There is another line. */
  wake(): void {
    if (this.under) this.more = true;
    else if (!this.timer) this.after(gatherMs);
  }

  private after(ms: number): void {
    if (this.stopped) return;
    this.timer = this.parts.clock.after(ms, () => {
      this.timer = undefined;
      this.more = false;
      this.under = this.deliver()
        .then(
          () => this.worked(),
          (caught: unknown) => this.failed(MqError.from(caught)),
        )
        .finally(() => {
          this.under = undefined;
          if (this.failing) this.after(this.againMs);
          else if (this.more) this.after(gatherMs);
        });
    });
  }

  private async deliver(): Promise<void> {
    const { source, brokers, directory } = this.parts;
    for (let batch = await source.next(); batch; batch = await source.next()) {
      const lines = batch.lines.flatMap((line) => this.lineOf(line) ?? []);
      for (let at = 0; at < lines.length; at += linesMax) {
        // Where a message group is at home everybody finds by the same rule, so its lines are in one order.
        const home = homeOfGroup(this.group, homeSets(directory.brokerSets()));
        if (home === undefined) throw new MqError('UNAVAILABLE', 'there is no broker set');
        await brokers.appendAudit(home, { source: this.group, lines: lines.slice(at, at + linesMax) });
      }
      await batch.done();
    }
  }

  /** Undefined: it is none of ours, as one that was cut off when the process died. */
  private lineOf({ id, text }: { readonly id: string; readonly text: string }): AuditLine | undefined {
    const said = saidIn(text);
    const timeMs = Date.parse(textIn(said, 'time'));
    if (Number.isNaN(timeMs)) return undefined;
    const [operation, user, requestId] = [textIn(said, 'operation'), textIn(said, 'user'), textIn(said, 'requestId')];
    return {
      id: createHash('sha256').update(`${this.group} ${id}`).digest('hex').slice(0, 34).toUpperCase(),
      timeMs,
      text: Buffer.from(text),
      tag: textIn(said, 'decision'),
      keys: requestId === '' ? [] : [requestId],
      properties: new Map([['operation', operation], ...(user === '' ? [] : [['user', user] as const])]),
    };
  }

  private worked(): void {
    if (this.failing) this.parts.tell('info', 'lines of the audit log reach the audit topic again', {});
    this.failing = false;
    this.againMs = againMsMin;
  }

  private failed({ code, reason }: MqError): void {
    if (!this.failing) {
      this.parts.tell(
        'warn',
        'lines of the audit log can not be delivered to the audit topic yet; they stay in the file',
        {
          code,
          reason,
        },
      );
      this.againMs = againMsMin;
    } else this.againMs = Math.min(againMsMax, this.againMs * 2);
    this.failing = true;
  }
}

function saidIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function textIn(said: Readonly<Record<string, unknown>>, field: string): string {
  const value = Object.hasOwn(said, field) ? said[field] : undefined;
  return typeof value === 'string' ? value : '';
}
