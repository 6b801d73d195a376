import { failureFacts } from './errors.js';

/** What fails again and again is told when it begins, when its reason is another one, and when it begins anew. */
export class ToldOnce<K = void> {
  private readonly reasons = new Map<K, string>();

  constructor(private readonly tell: (caught: unknown, key: K) => void) {}

  /** What is no fault of the world is thrown, and ends the process. */
  failed(caught: unknown, key: K): void {
    const facts = failureFacts(caught);
    const [cause = ''] = facts.cause?.split('\n') ?? [];
    const reason = `${facts.reason} ${cause}`;
    if (this.reasons.get(key) === reason) return;
    this.reasons.set(key, reason);
    this.tell(caught, key);
  }

  /** What is of none of these is forgotten. */
  keep(isKept: (key: K) => boolean): void {
    for (const key of this.reasons.keys()) if (!isKept(key)) this.reasons.delete(key);
  }

  /** It went well, or nobody wants it any more. */
  over(key: K): void {
    this.reasons.delete(key);
  }
}
