/** Backups of broker sets, each made and read by the set's leader. */
export interface BackupAdmin {
  /**
   * Begins one, under a name that is new; it goes on by itself.
   *
   * @throws MqError UNSUPPORTED (the broker has no bucket), CONFLICT (another is being made), NOT_LEADER
   */
  begin(brokerSet: string, id: string): Promise<void>;
  /** Begins to read all of one again; it goes on by itself. @throws MqError as `begin`, NOT_FOUND */
  verify(brokerSet: string, id: string): Promise<void>;
  /** What the bucket holds, newest first, `max` at the most, and what is going on. @throws MqError UNSUPPORTED, UNAVAILABLE */
  list(brokerSet: string, max: number): Promise<SetBackups>;
}

export interface SetBackups {
  readonly backups: readonly BackupFacts[];
  /** The last one that this leader has begun; undefined: none, since it started. */
  readonly job: BackupJob | undefined;
}

export interface BackupFacts {
  readonly id: string;
  readonly takenMs: number;
  readonly tookMs: number;
  readonly bytes: number;
  /** What no earlier backup held. */
  readonly newBytes: number;
  readonly epoch: number;
  /** Where the log ends in it, and the time of its last record. */
  readonly end: number;
  readonly lastMs: number;
  readonly topics: number;
  readonly groups: number;
  readonly release: string;
  readonly member: string;
}

export type BackupJobKind = 'backup' | 'verification';

export interface BackupJob {
  readonly kind: BackupJobKind;
  readonly id: string;
  readonly startedMs: number;
  /** Undefined: it goes on. */
  readonly endedMs: number | undefined;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly newBytes: number;
  /** Why it failed; undefined: it did not. */
  readonly failure: string | undefined;
  /** Of a verification: what is missing or damaged. */
  readonly problems: readonly string[];
}
