import type { TopicId } from '@cometmq/model';
import { internal } from '@cometmq/proto';
import type { RpcChannel } from '@cometmq/rpc';
import { type Clock, MqError, type Timer } from '@cometmq/shared';

import type { RemotePlace } from './broker-link.js';
import { errorFromWire } from './link-frames.js';
import { replicationPaths } from './peer-frames.js';
import type { ReadBody } from './read-message.js';

/** A member that sends nothing for so long is not waited for: another one has the same. */
const silentMsMax = 1_000;
/** A member that failed is asked last for so long. */
const avoidedMs = 5_000;
/** A connection that nobody has used for so long is closed. */
const idleMs = 60_000;
/** What one answer counts for in the time that a member is taken to need. */
const newest = 0.25;
/** Now and then another member is asked, so that its time is known: each so-manyth read. */
const tryOtherEvery = 16;

interface Known {
  readonly channel: RpcChannel;
  open: number;
  usedMs: number;
  /** Smoothed, for one read; 0: not known yet. */
  answerMs: number;
  avoidedUntilMs: number;
}

/**
 * Reads at members of broker sets what their leaders left to them: bodies of messages far behind the end of the log. The one
 * that answers fastest is asked, then the others, the leader last. Positions never change, so it is the same whoever answers.
 */
export class MemberReads {
  private readonly members = new Map<string, Known>();
  private tidy: Timer | undefined;
  private reads = 0;
  private closed = false;

  constructor(
    private readonly connect: (address: string) => RpcChannel,
    private readonly clock: Clock,
  ) {}

  /**
   * In the order of `places`; undefined for a message that the leader itself can't read.
   *
   * @param leader its address: asked for what the members named in `places` don't answer
   * @throws MqError UNAVAILABLE, TIMEOUT, NOT_FOUND: something is missing that the leader has said nothing about
   */
  async read(
    brokerSet: string,
    leader: string,
    places: readonly RemotePlace[],
  ): Promise<readonly (ReadBody | undefined)[]> {
    const found: (ReadBody | undefined)[] = places.map(() => undefined);
    const named = new Set(places.flatMap(({ members }) => members));
    named.delete(leader);
    let missing = places.map((_, i) => i);
    let failure: MqError | undefined;
    for (const address of [...this.inTurn([...named]), leader]) {
      if (missing.length === 0) break;
      const wanted = missing;
      const request = internal.ReadMessagesRequest.encode({
        brokerSet,
        places: wanted.flatMap((i) => {
          const place = places[i];
          return place ? [{ position: place.position, size: place.size, members: [] }] : [];
        }),
      }).finish();
      let next = 0;
      try {
        await this.ask(address, request, (part) => {
          const { error, position, payload, storedMs, originTopicId } = internal.ReadMessagesPart.decode(part);
          const i = wanted[next];
          next += 1;
          if (i === undefined || places[i]?.position !== position)
            throw new MqError('INTERNAL', `${address} answered what it was not asked: position ${position}`);
          if (error) failure = errorFromWire(error);
          else found[i] = { payload, storedMs, originTopicId: originTopicId as TopicId };
        });
        if (next < wanted.length) throw new MqError('INTERNAL', `${address} answered less than it was asked`);
        if (address === leader) return found;
      } catch (caught) {
        failure = MqError.from(caught);
        const known = this.members.get(address);
        if (known) known.avoidedUntilMs = this.clock.monotonicMs() + avoidedMs;
      }
      missing = missing.filter((i) => found[i] === undefined);
    }
    if (missing.length > 0) throw failure ?? new MqError('UNAVAILABLE', 'nobody has read the messages');
    return found;
  }

  close(): void {
    this.closed = true;
    this.tidy?.cancel();
    for (const { channel } of this.members.values()) channel.close();
    this.members.clear();
  }

  /** The fastest first, those that failed just now last. */
  private inTurn(addresses: readonly string[]): string[] {
    const nowMs = this.clock.monotonicMs();
    const cost = (address: string): number => {
      const known = this.members.get(address);
      if (!known) return 0;
      return known.avoidedUntilMs > nowMs ? Infinity : known.answerMs;
    };
    const ordered = [...addresses].sort((a, b) => cost(a) - cost(b) || (a < b ? -1 : 1));
    this.reads += 1;
    const other = this.reads % tryOtherEvery === 0 ? ordered[1] : undefined;
    if (other === undefined || cost(other) === Infinity) return ordered;
    return [other, ...ordered.filter((address) => address !== other)];
  }

  private async ask(address: string, request: Uint8Array, each: (part: Uint8Array) => void): Promise<void> {
    const known = this.memberAt(address);
    const startMs = this.clock.monotonicMs();
    known.open += 1;
    try {
      await this.stream(known.channel, address, request, each);
      const tookMs = this.clock.monotonicMs() - startMs;
      known.answerMs = known.answerMs === 0 ? tookMs : known.answerMs + (tookMs - known.answerMs) * newest;
    } finally {
      known.open -= 1;
      known.usedMs = this.clock.monotonicMs();
      this.tidyLater();
    }
  }

  private stream(
    channel: RpcChannel,
    address: string,
    request: Uint8Array,
    each: (part: Uint8Array) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = channel.serverStream(replicationPaths.readMessages, request);
      const timedOut = (): void => {
        stream.cancel();
        reject(new MqError('TIMEOUT', `${address} sent nothing for ${silentMsMax} ms`));
      };
      let timer = this.clock.after(silentMsMax, timedOut);
      stream.onMessage((part) => {
        timer.cancel();
        timer = this.clock.after(silentMsMax, timedOut);
        each(part);
      });
      stream.onEnd((error) => {
        timer.cancel();
        if (error) reject(error);
        else resolve();
      });
    });
  }

  private memberAt(address: string): Known {
    if (this.closed) throw new MqError('UNAVAILABLE', 'this process is stopping');
    const known = this.members.get(address);
    if (known) return known;
    const made = { channel: this.connect(address), open: 0, usedMs: 0, answerMs: 0, avoidedUntilMs: 0 };
    this.members.set(address, made);
    return made;
  }

  private tidyLater(): void {
    if (this.closed) return;
    this.tidy ??= this.clock.after(idleMs, () => {
      this.tidy = undefined;
      const nowMs = this.clock.monotonicMs();
      for (const [address, { channel, open, usedMs }] of this.members) {
        if (open > 0 || nowMs - usedMs < idleMs) continue;
        channel.close();
        this.members.delete(address);
      }
      if (this.members.size > 0) this.tidyLater();
    });
  }
}
