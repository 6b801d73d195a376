import { epoch, groupId, memberId, queueId, topicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { NotLeader } from '../not-leader.js';
import type { PeerDoor } from '../peer-door.js';
import type { FollowListener, FollowStream, Peer, PeerLimits } from '../peers.js';
import { at, ScriptedDoor, someAttached, someBeat, someHello, someStatus } from './scripted-door.js';

/** Two members of a set, one of whom asks. */
export interface OpenedPeers {
  /** The member that is asked. */
  readonly peer: Peer;
  /** Its process ends. */
  kill(): Promise<void>;
  /** Connections to it break. */
  lose(): void;
  /** Nothing that it says arrives any more, and nothing that is said to it. */
  cut(): void;
  close(): Promise<void>;
}

/** Short enough for a spec that waits for one, long enough for a busy machine. */
const specMs = 1_500;
export const contractLimits: PeerLimits = {
  ...{ followSilentMs: specMs, promiseMs: specMs, statusMs: specMs, handOverMs: specMs },
  ...{ partMs: specMs, snapshotMs: specMs, probeMs: specMs, transferMs: specMs },
};

/** What every adapter of `Peers` promises, with a `PeerDoor` at its far end. One text, run against each of them. */
export function peersContract(name: string, open: (door: PeerDoor) => Promise<OpenedPeers>): void {
  describe(`peers contract: ${name}`, () => {
    let door: ScriptedDoor;
    let opened: OpenedPeers;
    beforeEach(async () => {
      door = new ScriptedDoor();
      opened = await open(door);
    });
    afterEach(() => opened.close());

    /** A follower whose stream is open. */
    const follow = async (): Promise<{ heard: Heard; stream: FollowStream }> => {
      door.onFollow = (out) => out.attached(someAttached);
      const heard = new Heard();
      const stream = opened.peer.follow(someHello, heard);
      await heard.comes(() => heard.said.length > 0);
      return { heard, stream };
    };
    const { session } = someAttached;

    it('opens a stream: hello goes in, what the leader has comes out, never from inside the call', async () => {
      door.onFollow = (out) => out.attached(someAttached);
      const heard = new Heard();
      opened.peer.follow(someHello, heard);
      expect(heard.said).toEqual([]);
      await heard.comes(() => heard.said.length > 0);
      expect(door.hellos).toEqual([someHello]);
      expect(heard.attachedTo).toEqual(someAttached);
    });

    it('says that a log has not begun', async () => {
      const hello = { ...someHello, salt: undefined };
      opened.peer.follow(hello, new Heard());
      await until(() => door.hellos.length > 0);
      expect(door.hellos).toEqual([hello]);
    });

    it('carries what each side says in order', async () => {
      const { heard, stream } = await follow();
      const [out] = door.outlets;
      stream.follow(session, at(2 ** 40));
      stream.ack(session, at(2 ** 40 + 9));
      stream.refuse(session, epoch(8), 'epoch 8 was promised');
      out?.batch({ from: at(2 ** 40), end: at(2 ** 40 + 5), pieces: [Buffer.from('ab'), Buffer.from('cde')] });
      out?.heartbeat(someBeat);
      out?.batch({ from: at(2 ** 40 + 5), end: at(2 ** 40 + 5), pieces: [] });
      out?.snapshotNeeded(at(2 ** 41));
      out?.handOver();
      await heard.comes(() => heard.said.length >= 6);
      expect(heard.said).toEqual([
        'attached',
        `batch ${session} ${2 ** 40} abcde`,
        `heartbeat ${session}`,
        `batch ${session} ${2 ** 40 + 5} `,
        `snapshotNeeded ${session} ${2 ** 41}`,
        `handOver ${session}`,
      ]);
      expect(heard.beat).toEqual(someBeat);
      await until(() => door.said.length >= 3);
      expect(door.said).toEqual([
        `follow ${session} from ${2 ** 40}`,
        `ack ${session} ${2 ** 40 + 9}`,
        `refuse ${session} 8 epoch 8 was promised`,
      ]);
    });

    it('carries the last of several acknowledgements, of which each says what those before it did', async () => {
      const { stream } = await follow();
      for (let end = 1; end <= 1_000; end += 1) stream.ack(session, at(end));
      await until(() => door.said.includes(`ack ${session} 1000`));
      stream.ack(session, at(1_001));
      await until(() => door.said.includes(`ack ${session} 1001`));
      const ends = door.said.map((said) => Number(/^ack \d+ (\d+)$/.exec(said)?.[1]));
      expect(ends).toEqual([...ends].sort((a, b) => a - b));
    });

    it('gives the same batch to several followers, each its own bytes', async () => {
      const first = await follow();
      const second = await follow();
      const batch = { from: at(0), end: at(3), pieces: [Buffer.from('abc')] };
      for (const out of door.outlets) out.batch(batch);
      for (const { heard } of [first, second]) {
        await heard.comes(() => heard.said.length > 1);
        expect(heard.said[1]).toBe(`batch ${session} 0 abc`);
      }
      first.heard.bytes?.fill(0);
      expect(Buffer.from(second.heard.bytes ?? []).toString()).toBe('abc');
      expect(batch.pieces[0]?.toString()).toBe('abc');
    });

    it('tells the leader when more can be sent, and loses none of what was', async () => {
      const { heard } = await follow();
      const [out] = door.outlets;
      let sent = 0;
      while (out?.hasRoom && sent < 1_000) {
        out.batch({ from: at(sent), end: at(sent + 1), pieces: [Buffer.alloc(1024 * 1024, sent)] });
        sent += 1;
      }
      expect(sent).toBeLessThan(1_000);
      await until(() => door.said.includes('drained'));
      expect(out?.hasRoom).toBe(true);
      await heard.comes(() => heard.said.length > sent);
      expect(heard.said.length).toBe(sent + 1);
    });

    it('ends a stream with the words of the leader', async () => {
      const { heard } = await follow();
      door.outlets[0]?.end(new MqError('CORRUPT_RECORD', 'a segment is damaged'));
      await heard.comes(() => heard.over);
      expect(heard.said.slice(1)).toEqual(['closed CORRUPT_RECORD false']);
      expect(heard.error?.reason).toBe('a segment is damaged');
    });

    it("ends a stream on which a follower says what can't be", async () => {
      const { heard, stream } = await follow();
      door.believes = () => false;
      stream.ack(session, at(7));
      await heard.comes(() => heard.over);
      expect(heard.said.slice(1)).toEqual(['closed BAD_REQUEST false']);
      await until(() => door.said.includes('closed'));
    });

    it('ends a stream well', async () => {
      const { heard } = await follow();
      door.outlets[0]?.end();
      await heard.comes(() => heard.over);
      expect(heard.said.slice(1)).toEqual(['closed undefined false']);
    });

    it('says who leads, where the member that was asked knows', async () => {
      door.refuses = new NotLeader('this broker follows', { epoch: 9, member: 'c/9', address: 'c:1' });
      const heard = new Heard();
      opened.peer.follow(someHello, heard);
      await heard.comes(() => heard.over);
      expect(heard.said).toEqual(['closed NOT_LEADER false']);
      expect(heard.error).toBeInstanceOf(NotLeader);
      expect((heard.error as NotLeader).leader).toEqual({ epoch: 9, member: 'c/9', address: 'c:1' });
    });

    it('tells the leader that a follower has gone, and the follower nothing after that', async () => {
      const { heard, stream } = await follow();
      stream.refuse(session, epoch(4), 'last word');
      stream.close();
      stream.ack(session, at(1));
      door.outlets[0]?.heartbeat(someBeat);
      await until(() => door.said.includes('closed'));
      expect(heard.said).toEqual(['attached']);
      expect(door.said).toEqual([`refuse ${session} 4 last word`, 'closed']);
    });

    it('tells the leader that a follower stops', async () => {
      const { heard, stream } = await follow();
      stream.ack(session, at(1));
      stream.leave();
      stream.ack(session, at(2));
      await until(() => door.said.includes('closed'));
      expect(heard.said).toEqual(['attached']);
      expect(door.said).toEqual([`ack ${session} 1`, 'leaving', 'closed']);
    });

    it('tells a connection that broke from an address that refuses', async () => {
      const { heard } = await follow();
      opened.lose();
      await heard.comes(() => heard.over);
      expect(heard.said.slice(1)).toEqual(['closed UNAVAILABLE false']);
      await until(() => door.said.includes('closed'));
      const again = await follow();
      await opened.kill();
      await again.heard.comes(() => again.heard.over);
      expect(again.heard.said.slice(1)).toEqual(['closed UNAVAILABLE true']);
      const late = new Heard();
      opened.peer.follow(someHello, late);
      await late.comes(() => late.over);
      expect(late.said).toEqual(['closed UNAVAILABLE true']);
    });

    it('gives up a stream on which nothing comes, and one that never opens', async () => {
      const { heard } = await follow();
      opened.cut();
      const late = new Heard();
      opened.peer.follow(someHello, late);
      await heard.comes(() => heard.over && late.over);
      expect(heard.said.slice(1)).toEqual(['closed TIMEOUT false']);
      expect(late.said).toEqual(['closed TIMEOUT false']);
    });

    it('gives the parts of a stream in order, however many come at once and however slowly they are taken', async () => {
      const sizes = Array.from({ length: 64 }, (_, i) => [3, 20_000, 200_000][i % 3] as number);
      const sent = sizes.map((size, i) => ({ commonEnd: at(0), from: at(i), bytes: Buffer.alloc(size, i) }));
      door.parts = async function* () {
        yield* sent;
      };
      const log = { epochs: [], end: at(0) };
      const request = { brokerSet: 'broker-0', candidate: memberId('b/1'), epoch: epoch(3), log };
      let next = 0;
      for await (const { from, bytes } of opened.peer.fetch(request)) {
        expect([from, bytes.byteLength, bytes[0]]).toEqual([next, sizes[next], next]);
        next += 1;
        if (next % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(next).toBe(sizes.length);
    });

    it('knows whether the address refuses; one that says nothing refuses nothing', async () => {
      expect(await opened.peer.refuses()).toBe(false);
      await opened.kill();
      expect(await opened.peer.refuses()).toBe(true);
    });

    it('takes silence for no refusal', async () => {
      opened.cut();
      expect(await opened.peer.refuses()).toBe(false);
    });

    const ask = { epoch: epoch(4), candidate: memberId('b/1'), reason: 'closed', sounding: true } as const;

    it('asks for a promise', async () => {
      const promised = {
        kind: 'promised',
        from: memberId('a/1'),
        log: { lastEpoch: epoch(3), end: at(2 ** 41) },
      } as const;
      door.promise = async () => promised;
      expect(await opened.peer.askPromise('broker-0', ask)).toEqual(promised);
      for (const why of ['promised', 'leaderProgresses'] as const) {
        const refused = { kind: 'refused', from: memberId('a/1'), refusal: { why, epoch: epoch(9) } } as const;
        door.promise = async () => refused;
        expect(await opened.peer.askPromise('broker-0', ask)).toEqual(refused);
      }
      expect(door.said[0]).toBe('ask broker-0 4 b/1 closed');
    });

    it('ends what is asked by its deadline, and where nobody listens', async () => {
      await expect(opened.peer.askPromise('broker-0', ask)).rejects.toMatchObject({ code: 'TIMEOUT' });
      await opened.kill();
      await expect(opened.peer.askPromise('broker-0', ask)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(opened.peer.status('broker-0')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(all(opened.peer.snapshot('broker-0', epoch(3)))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    });

    it('hands over, and says what a member says of itself', async () => {
      await opened.peer.prepareHandOver('broker-0', epoch(3));
      await opened.peer.handOver('broker-0', epoch(3));
      await opened.peer.elect('broker-0', memberId('c/1'));
      await opened.peer.elect('broker-0', undefined);
      await opened.peer.removeMember('broker-0', memberId('b/1'));
      expect(door.said).toEqual([
        'prepareHandOver broker-0 3',
        'handOver broker-0 3',
        'elect broker-0 c/1',
        'elect broker-0 whoever is best',
        'removeMember broker-0 b/1',
      ]);
      expect(await opened.peer.mayLeave('broker-0', memberId('c/1'))).toBeUndefined();
      expect(await opened.peer.mayLeave('broker-0', memberId('b/1'))).toBe('b/1 is needed');
      expect(await opened.peer.status('broker-0')).toEqual(someStatus);
      await expect(opened.peer.status('broker-1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    it('hands messages of another set over, whole', async () => {
      const audience = { only: true, groups: [{ groupId: groupId(7), attempts: 2 }] };
      const message = {
        topicId: topicId(3),
        queueId: queueId(4),
        tagHash: 0xfedcba98,
        groupHash: 0xffffffff,
        audience,
      };
      const places = [{ brokerSet: 'broker-2', position: at(2 ** 41), size: 77 }];
      const letter = { groupId: groupId(9), originTopicId: topicId(10), cause: 2, attempts: 17 };
      const half = { checks: 3, lastCheckMs: 2 ** 40, nextCheckMs: 2 ** 40 + 1, parked: true };
      const messages = [
        { ...message, index: 0, payload: Buffer.alloc(2_000_000, 1) },
        {
          ...message,
          index: 5,
          payload: Buffer.from('five'),
          past: { dueMs: 2 ** 40, storedMs: 3, half: undefined, places },
        },
        { ...message, index: 7, payload: Buffer.from('dead'), letter },
        { ...message, index: 6, payload: Buffer.from('half'), past: { dueMs: 0, storedMs: 4, half, places: [] } },
      ];
      await opened.peer.takeTransfer({
        brokerSet: 'broker-0',
        from: 'broker-1',
        log: 2 ** 32 - 1,
        transfer: at(2 ** 40),
        messages,
      });
      expect(door.said).toEqual([`takeTransfer broker-0 broker-1 ${2 ** 40} 0:2000000:1 5:4:1 7:4:1 6:4:1`]);
      expect(door.transfers[0]).toMatchObject({ log: 2 ** 32 - 1, messages });
    });

    const request = { brokerSet: 'broker-0', candidate: memberId('b/1'), epoch: epoch(4), log: someAttached.log };

    it('says what a range of its log says, or that it has not all of it', async () => {
      const [from, end] = [at(2 ** 40), at(2 ** 40 + 5)];
      const wholeFrom = at(2 ** 40);
      const digest = { records: 3, sum: 0xfedcba98 };
      expect(await opened.peer.digest('broker-0', from, end)).toEqual({ wholeFrom, digest });
      expect(await opened.peer.digest('broker-0', at(1), at(6))).toEqual({ wholeFrom, digest: undefined });
      expect(door.said).toEqual([`digest broker-0 ${from} ${end}`, 'digest broker-0 1 6']);
    });

    it('fetches part by part', async () => {
      const parts = [at(5), at(8)].map((from) => ({ commonEnd: at(5), from, bytes: Buffer.from(`at ${from}`) }));
      door.parts = async function* () {
        yield* parts;
      };
      const fetched = await all(opened.peer.fetch(request));
      expect(fetched.map((part) => ({ ...part, bytes: Buffer.from(part.bytes) }))).toEqual(parts);
      expect(door.said).toEqual([`fetch broker-0 b/1 4 ${JSON.stringify(someAttached.log)}`]);
    });

    it('ends a fetch with what went wrong at the far end', async () => {
      door.parts = async function* () {
        yield { commonEnd: at(5), from: at(5), bytes: Buffer.from('a') };
        throw new MqError('CONFLICT', 'the promise does not hold any more');
      };
      const got: string[] = [];
      const reading = async (): Promise<void> => {
        for await (const { bytes } of opened.peer.fetch(request)) got.push(Buffer.from(bytes).toString());
      };
      await expect(reading()).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(got).toEqual(['a']);
    });

    it('reads no further ahead at the far end than it is taken here', async () => {
      let made = 0;
      let ended = false;
      door.bytes = async function* () {
        try {
          for (; made < 200; made += 1) yield Buffer.alloc(1024 * 1024, made);
        } finally {
          ended = true;
        }
      };
      for await (const bytes of opened.peer.segmentBytes('broker-0', at(3), at(2 ** 33))) {
        expect(bytes.length).toBe(1024 * 1024);
        await settled(() => made);
        break;
      }
      expect(made).toBeLessThan(100);
      expect(door.said).toEqual([`segmentBytes broker-0 3 ${2 ** 33}`]);
      await until(() => ended);
    });

    it('gives up a stream of parts that stands still', async () => {
      door.bytes = async function* () {
        yield Buffer.from('a');
        await new Promise(() => undefined);
      };
      await expect(all(opened.peer.snapshot('broker-0', epoch(3)))).rejects.toMatchObject({ code: 'TIMEOUT' });
      expect(door.said).toEqual(['snapshot broker-0 3']);
    });
  });
}

/** What a follower has heard. */
class Heard implements FollowListener {
  readonly said: string[] = [];
  attachedTo: unknown;
  beat: unknown;
  bytes: Uint8Array | undefined;
  error: MqError | undefined;
  over = false;

  attached(what: unknown): void {
    this.attachedTo = what;
    this.said.push('attached');
  }
  batch(session: number, from: number, bytes: Uint8Array): void {
    this.bytes = bytes;
    this.said.push(`batch ${session} ${from} ${bytes.length > 99 ? bytes.length : Buffer.from(bytes).toString()}`);
  }
  heartbeat(session: number, beat: unknown): void {
    this.beat = beat;
    this.said.push(`heartbeat ${session}`);
  }
  snapshotNeeded(session: number, oldest: number): void {
    this.said.push(`snapshotNeeded ${session} ${oldest}`);
  }
  handOver(session: number): void {
    this.said.push(`handOver ${session}`);
  }
  closed(error: MqError | undefined, refused: boolean): void {
    this.over = true;
    this.error = error;
    this.said.push(`closed ${error?.code} ${refused}`);
  }

  comes(holds: () => boolean): Promise<void> {
    return until(holds);
  }
}

async function all<T>(parts: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const part of parts) found.push(part);
  return found;
}

/** Waits for a condition; says which one if it takes more than 5 s. */
async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries += 1) {
    if (tries > 1_000) throw new Error(`never came: ${holds.toString()}`);
    await pause(5);
  }
}

/** Waits until a number has stopped moving. */
async function settled(read: () => number): Promise<void> {
  for (let before = -1, still = 0; still < 10; before = read()) {
    await pause(5);
    still = read() === before ? still + 1 : 0;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
