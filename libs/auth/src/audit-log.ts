/**
 * Who did what: changes, refusals, and looks at messages, newest last. Each is a JSON line that goes to where lines are kept, and
 * the last ones are in memory to be asked for. Where lines can't be written as fast as they come, changes must be refused
 * rather than go unrecorded (`takesMore`); refusals, and all else while nothing can be written, may be so many that only some are
 * kept, and how many were not is said.
 */
import type { Clock, Timer } from '@cometmq/shared';

import { TokenBucket } from './token-bucket.js';

export interface AuditEntry {
  readonly time: string;
  readonly requestId?: string | undefined;
  readonly user?: string | undefined;
  /** token, apiToken, session, signature, kubernetes (by a resource there), or none. */
  readonly how: string;
  /** The name of the user's token that it was done by. */
  readonly apiToken?: string | undefined;
  readonly from: string;
  /** Of the REST API by its id, of clients by the method's name. */
  readonly operation: string;
  readonly target?: unknown;
  readonly query?: unknown;
  readonly change?: unknown;
  readonly before?: unknown;
  readonly after?: unknown;
  readonly status?: number | undefined;
  /** Messages that were shown or exported. */
  readonly given?: number | undefined;
  /** Of them, with a body that was hidden from who asked, or a part of it. */
  readonly masked?: number | undefined;
  readonly decision: 'done' | 'failed' | 'refused';
  readonly reason?: string | undefined;
  /** Entries before this one that were not recorded, as there were too many. */
  readonly unrecorded?: number | undefined;
}

export interface AuditRecord extends AuditEntry {
  /** Rises with each entry of this process. */
  readonly id: number;
}

export interface AuditQuery {
  readonly limit?: number | undefined;
  /** Only what came before this one. */
  readonly before?: number | undefined;
  readonly user?: string | undefined;
  readonly operation?: string | undefined;
  readonly decision?: AuditEntry['decision'] | undefined;
}

export interface AuditPage {
  readonly items: readonly AuditRecord[];
  /** Where the next page begins; absent: there is none. */
  readonly next?: number;
}

/** Resolves when the line is where it is kept. */
export type AuditSink = (line: string) => Promise<void>;

const keptMax = 10_000;
const waitingMax = 1_000;
/** Of what must not wait as well: looks at messages, and changes that were refused for want of a line. */
const linesMax = 10_000;
const limitDefault = 100;
const refusalsPerSecond = 20;
const refusalsBurst = 200;

/** So long after a line could not be written it is tried again. */
const againMs = 1_000;

interface Unwritten {
  readonly text: string;
  readonly tell: () => void;
}

const nothingToWaitFor = Promise.resolve();

export class AuditLog {
  private readonly kept: AuditRecord[] = [];
  private lastId = 0;
  /** In their order; the first one is being written, or could not be. */
  private readonly unwritten: Unwritten[] = [];
  private writing = false;
  private failed = false;
  private timer: Timer | undefined;
  private unrecorded = 0;
  private readonly refusals: TokenBucket;

  /** @param sink undefined: lines are kept in memory alone */
  constructor(
    private readonly clock: Clock,
    private readonly sink: AuditSink | undefined,
    /** What room is left is for changes: whoever is refused, a stranger too, could fill it. */
    private readonly isShort: () => boolean = () => false,
  ) {
    this.refusals = new TokenBucket(refusalsPerSecond, refusalsBurst, clock.monotonicMs());
  }

  /** False: what changes something must wait. */
  get takesMore(): boolean {
    return this.unwritten.length < waitingMax && !this.failed;
  }

  /** What an earlier process has written, oldest first. What is no such line is passed over. */
  remember(lines: readonly string[]): void {
    for (const line of lines) {
      const entry = entryIn(line);
      if (entry) this.keep(entry);
    }
  }

  /** Resolves when the line is where it is kept, or could not be. */
  record(said: Omit<AuditEntry, 'time' | 'unrecorded'>): Promise<void> {
    if (this.unwritten.length >= (this.failed ? waitingMax : linesMax)) {
      this.unrecorded += 1;
      return nothingToWaitFor;
    }
    if (
      said.decision === 'refused' &&
      (this.failed || this.isShort() || !this.refusals.take(1, this.clock.monotonicMs()))
    ) {
      this.unrecorded += 1;
      return nothingToWaitFor;
    }
    const { unrecorded } = this;
    const time = new Date(this.clock.wallMs()).toISOString();
    const entry: AuditEntry = { time, ...said, ...(unrecorded > 0 && { unrecorded }) };
    this.unrecorded = 0;
    this.keep(entry);
    if (!this.sink) return nothingToWaitFor;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.unwritten.push({ text: JSON.stringify(entry), tell: resolve });
    void this.write();
    return promise;
  }

  /** One after the other: where one can't be written, those behind it wait, and all are written in their order once that is over. */
  private async write(): Promise<void> {
    const { sink } = this;
    if (this.writing || !sink) return;
    this.writing = true;
    this.timer?.cancel();
    for (let line = this.unwritten[0]; line; line = this.unwritten[0]) {
      try {
        await sink(line.text);
      } catch {
        this.failed = true;
        // Nobody is kept waiting for a disk that may never be well again.
        for (const { tell } of this.unwritten) tell();
        this.timer = this.clock.after(againMs, () => void this.write());
        break;
      }
      this.unwritten.shift();
      line.tell();
      this.failed = false;
    }
    this.writing = false;
  }

  /** The newest first. */
  page({ limit = limitDefault, before = Infinity, user, operation, decision }: AuditQuery): AuditPage {
    const items: AuditRecord[] = [];
    for (let i = this.kept.length - 1; i >= 0; i -= 1) {
      const one = this.kept[i] as AuditRecord;
      if (one.id >= before || (user !== undefined && one.user !== user)) continue;
      if (operation !== undefined && one.operation !== operation) continue;
      if (decision !== undefined && one.decision !== decision) continue;
      if (items.length === limit) return { items, next: items.at(-1)?.id ?? 0 };
      items.push(one);
    }
    return { items };
  }

  private keep(entry: AuditEntry): void {
    this.kept.push({ ...entry, id: (this.lastId += 1) });
    if (this.kept.length > keptMax + keptMax / 10) this.kept.splice(0, this.kept.length - keptMax);
  }
}

/** What keeps lines, and gives back the last ones. */
export interface AuditLines {
  append(line: string): Promise<void>;
  tail(bytesMax: number): readonly string[];
  readonly isShort: boolean;
}

const tailBytesMax = 8 * 1024 * 1024;

/** With what the file holds already. @param lines undefined: kept in memory alone */
export function auditLogOf(clock: Clock, lines: AuditLines | undefined): AuditLog {
  const log = new AuditLog(clock, lines && ((line) => lines.append(line)), () => lines?.isShort === true);
  log.remember(lines?.tail(tailBytesMax) ?? []);
  return log;
}

function entryIn(line: string): AuditEntry | undefined {
  try {
    const found = JSON.parse(line) as Partial<AuditEntry> | null;
    return typeof found?.time === 'string' && typeof found.operation === 'string' ? (found as AuditEntry) : undefined;
  } catch {
    return undefined;
  }
}
