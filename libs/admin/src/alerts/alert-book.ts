import type { Alert, Judgement } from './alert-rules.js';

export interface AlertEvent extends Alert {
  readonly event: 'fired' | 'resolved';
  readonly atMs: number;
  /** Nobody was told. */
  readonly silenced: boolean;
}

export interface FiringAlert extends Alert {
  readonly sinceMs: number;
  readonly silenced: boolean;
}

export interface Silence {
  readonly key: string;
  readonly untilMs: number;
  readonly who: string;
}

interface Known {
  alert: Alert;
  readonly firstMs: number;
  lastMs: number;
  /** 0: it has not held long enough. */
  firedMs: number;
}

export interface AlertTiming {
  /** What is wrong for less is nobody's business. */
  readonly holdMs: number;
  /** And what comes back within this time has never gone. */
  readonly quietMs: number;
}

const historyMax = 1_000;
const silencesMax = 1_000;

/** Which alerts fire, since when, who wants to hear no more of them, and what there was. A fold of looks: no clock, no I/O. */
export class AlertBook {
  readonly history: AlertEvent[] = [];
  private readonly known = new Map<string, Known>();
  private readonly silenced = new Map<string, Silence>();

  constructor(private readonly timing: AlertTiming) {}

  /** Takes what is wrong now; answers whom to tell of what. */
  look({ alerts, unknown }: Judgement, nowMs: number): AlertEvent[] {
    const events: AlertEvent[] = [];
    for (const alert of alerts) {
      const known = this.known.get(alert.key) ?? { alert, firstMs: nowMs, lastMs: nowMs, firedMs: 0 };
      known.alert = alert;
      known.lastMs = nowMs;
      this.known.set(alert.key, known);
      const hasHeld = alert.isEvent === true || nowMs - known.firstMs >= this.timing.holdMs;
      if (known.firedMs === 0 && hasHeld) {
        known.firedMs = nowMs;
        events.push(this.note('fired', alert, nowMs));
      }
    }
    for (const [key, known] of this.known) {
      if (unknown.has(key)) known.lastMs = nowMs; // That nobody said so does not make it over.
      const { alert, lastMs, firedMs } = known;
      if (lastMs === nowMs) continue;
      if (firedMs === 0) this.known.delete(key);
      else if (nowMs - lastMs >= this.timing.quietMs) {
        this.known.delete(key);
        events.push(this.note('resolved', alert, nowMs));
      }
    }
    return events.filter(({ silenced }) => !silenced);
  }

  firing(nowMs: number): FiringAlert[] {
    return [...this.known.values()]
      .filter(({ firedMs }) => firedMs > 0)
      .map(({ alert, firedMs }) => ({ ...alert, sinceMs: firedMs, silenced: this.isSilenced(alert.key, nowMs) }))
      .sort((a, b) => (a.severity === b.severity ? a.sinceMs - b.sinceMs : a.severity === 'critical' ? -1 : 1));
  }

  silence(silence: Silence): void {
    if (this.silenced.size >= silencesMax) this.silenced.delete(this.silenced.keys().next().value ?? '');
    this.silenced.set(silence.key, silence);
  }

  /** False: it was not silenced. */
  unsilence(key: string): boolean {
    return this.silenced.delete(key);
  }

  silences(nowMs: number): Silence[] {
    for (const [key, { untilMs }] of this.silenced) if (untilMs <= nowMs) this.silenced.delete(key);
    return [...this.silenced.values()];
  }

  private isSilenced(key: string, nowMs: number): boolean {
    return (this.silenced.get(key)?.untilMs ?? 0) > nowMs;
  }

  private note(event: AlertEvent['event'], alert: Alert, nowMs: number): AlertEvent {
    const noted = { ...alert, event, atMs: nowMs, silenced: this.isSilenced(alert.key, nowMs) };
    this.history.push(noted);
    if (this.history.length > historyMax) this.history.shift();
    return noted;
  }
}
