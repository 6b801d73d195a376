/**
 * Streams that we ended before their callers had: what comes late for them is nobody's fault. On any other ended stream
 * the caller had said its last, and must say no more.
 */
const streamsMax = 1_024;

export class EndedStreams {
  private readonly early = new Set<number>();

  add(streamId: number): void {
    if (this.early.size >= streamsMax) {
      const [oldest] = this.early;
      if (oldest !== undefined) this.early.delete(oldest);
    }
    this.early.add(streamId);
  }

  has(streamId: number): boolean {
    return this.early.has(streamId);
  }

  /** The caller has ended it too. */
  delete(streamId: number): void {
    this.early.delete(streamId);
  }
}
