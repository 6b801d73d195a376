import type { FollowListener, FollowStream, Heartbeat, KnownLeader, NotLeader } from '@cometmq/client';
import { FakeNetwork, someAttached, someBeat, someHello, someStatus } from '@cometmq/client/testing';
import { epoch, memberId, type LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { MemberDoor } from './member-door.js';
import type { LeadTerm, LedFollower, SetMember } from './set-member.js';
import type { ShippedLog } from './shipping.js';

const at = (position: number): LogPosition => position as LogPosition;
const { session } = someAttached;

/** A term over a log that is durable up to 100 and is read as zeros. */
class ScriptedTerm implements LeadTerm {
  readonly epoch = epoch(3);
  readonly said: string[] = [];
  readonly followers = new Map<string, LedFollower>();
  readonly log: ShippedLog = {
    ...{ appendEnd: at(100), durableEnd: at(100), oldest: at(0) },
    readBytes: async (from) => new Uint8Array(100 - from),
    onCut: () => () => undefined,
    peekCut: () => undefined,
  };
  beatSays: (beat: Heartbeat) => void = () => undefined;
  beats = 0;
  over: () => void = () => undefined;
  private sessions = session;

  attach() {
    return { ...someAttached, session: this.sessions++ };
  }
  joined(member: string, joined: number, _from: LogPosition, follower: LedFollower): void {
    this.said.push(`joined ${member} ${joined - session}`);
    this.followers.set(member, follower);
  }
  acked(member: string, acked: number, end: number): void {
    this.said.push(`acked ${member} ${acked - session} ${end}`);
  }
  refused(member: string, refused: number, later: number): void {
    this.said.push(`refused ${member} ${refused - session} ${later}`);
  }
  left(member: string, left: number, refuses: boolean): void {
    this.said.push(`left ${member} ${left - session} ${refuses}`);
  }
  beat(): Heartbeat {
    return { ...someBeat, progress: (this.beats += 1) };
  }
  onBeat(listener: (beat: Heartbeat) => void): () => void {
    this.said.push('watched');
    this.beatSays = listener;
    return () => void this.said.push('unwatched');
  }
  onOver(act: () => void): void {
    this.over = act;
  }
}

class Heard implements FollowListener {
  readonly said: string[] = [];
  error: MqError | undefined;
  attached(): void {
    this.said.push('attached');
  }
  batch(_session: number, from: number, bytes: Uint8Array): void {
    this.said.push(`batch ${from} ${bytes.length}`);
  }
  heartbeat(_session: number, { progress }: Heartbeat): void {
    this.said.push(`beat ${progress}`);
  }
  snapshotNeeded(): void {
    this.said.push('snapshotNeeded');
  }
  handOver(): void {
    this.said.push('handOver');
  }
  closed(error: MqError | undefined, refused: boolean): void {
    this.error = error;
    this.said.push(`closed ${error?.code} ${refused}`);
  }
}

describe('MemberDoor', () => {
  let clock: ManualClock;
  let network: FakeNetwork;
  let term: ScriptedTerm;
  let leading: LeadTerm | undefined;
  let knownLeader: KnownLeader | undefined;
  let candidacy: Promise<LeadTerm | undefined> | undefined;

  beforeEach(() => {
    clock = new ManualClock();
    network = new FakeNetwork(clock);
    term = new ScriptedTerm();
    leading = term;
    knownLeader = undefined;
    candidacy = undefined;
    const member: SetMember = {
      get leading() {
        return leading;
      },
      get candidacy() {
        return candidacy;
      },
      get knownLeader() {
        return knownLeader;
      },
      promise: () => Promise.reject(new MqError('UNAVAILABLE', 'not here')),
      fetch: none,
      snapshot: none,
      segmentBytes: none,
      digest: async () => ({ wholeFrom: at(0), digest: undefined }),
      prepareHandOver: async () => undefined,
      handOver: async () => undefined,
      handOverLead: async () => undefined,
      removeMember: async () => undefined,
      mayLeave: () => undefined,
      readMessages: none,
      status: () => someStatus,
    };
    network.listen('a:1', new MemberDoor('broker-0', member, network.peersAt('a:1'), clock));
  });

  const turns = async (): Promise<void> => {
    for (let i = 0; i < 12; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const follow = async (from = 'b:1', member = 'b/1'): Promise<{ heard: Heard; stream: FollowStream }> => {
    const heard = new Heard();
    const hello = { ...someHello, member: memberId(member), address: from };
    const stream = network.peersAt(from).peer('a:1').follow(hello, heard);
    await turns();
    return { heard, stream };
  };

  it('attaches, ships from where the follower wants, and hands on what it says', async () => {
    const { heard, stream } = await follow();
    expect(heard.said).toEqual(['attached', 'beat 1']);
    stream.follow(session, at(40));
    await turns();
    stream.ack(session, at(100));
    stream.refuse(session, epoch(9), 'promised');
    stream.ack(session + 1, at(50)); // Of no session of its.
    await turns();
    expect(heard.said.slice(2)).toEqual(['batch 40 60']);
    expect(term.said).toEqual(['watched', 'joined b/1 0', 'acked b/1 0 100', 'refused b/1 0 9']);
    term.followers.get('b/1')?.handOver();
    await turns();
    expect(heard.said.at(-1)).toBe('handOver');
  });

  it('ends the stream of a follower that acknowledges what was never sent, or wants what is not written', async () => {
    const { heard, stream } = await follow();
    stream.follow(session, at(100));
    stream.ack(session, at(101));
    await turns();
    expect(heard.said.at(-1)).toBe('closed BAD_REQUEST false');
    expect(term.said.filter((said) => said.startsWith('acked'))).toEqual([]);
    const other = await follow();
    other.stream.follow(session + 1, at(101));
    await turns();
    expect(other.heard.said.at(-1)).toBe('closed BAD_REQUEST false');
  });

  it('says who leads where this member does not, and that it is of another set', async () => {
    leading = undefined;
    knownLeader = { epoch: 4, member: 'c/9', address: 'c:1' };
    const { heard } = await follow();
    expect(heard.said).toEqual(['closed NOT_LEADER false']);
    expect((heard.error as NotLeader).leader).toBe(knownLeader);
    await expect(network.peersAt('b:1').peer('a:1').status('broker-1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('keeps those who come while it stands until it leads, and sends them on when it does not', async () => {
    leading = undefined;
    const won = Promise.withResolvers<LeadTerm | undefined>();
    candidacy = won.promise;
    const { heard, stream } = await follow();
    const gone = await follow('c:1', 'c/9');
    gone.stream.close();
    await turns();
    expect(heard.said).toEqual([]);
    leading = term;
    won.resolve(term);
    await turns();
    expect(heard.said).toEqual(['attached', 'beat 1']);
    stream.follow(session, at(40));
    await turns();
    expect(term.said).toEqual(['watched', 'joined b/1 0']);
    leading = undefined;
    candidacy = Promise.resolve(undefined);
    knownLeader = { epoch: 4, member: 'c/9', address: 'c:1' };
    const late = await follow('d:1', 'd/1');
    expect(late.heard.said).toEqual(['closed NOT_LEADER false']);
    expect((late.heard.error as NotLeader).leader).toBe(knownLeader);
  });

  it('ends all streams with the term, and takes no part of a later one for it', async () => {
    const { heard, stream } = await follow();
    stream.follow(session, at(100));
    await turns();
    leading = undefined;
    term.over();
    await turns();
    expect(heard.said.at(-1)).toBe('closed NOT_LEADER false');
    expect(term.said).toEqual(['watched', 'joined b/1 0', 'unwatched']);
    leading = term = new ScriptedTerm();
    const next = await follow();
    expect(next.heard.said).toEqual(['attached', 'beat 1']);
  });

  it('tells a follower that is gone from one whose machine refuses', async () => {
    const gone = await follow('b:1', 'b/1');
    await follow('c:1', 'c/9');
    network.listen('b:1', { ...network.doorAt('a:1') } as never);
    gone.stream.close();
    await turns();
    expect(term.said.at(-1)).toBe('left b/1 0 false');
    network.unlisten('c:1');
    await turns();
    expect(term.said.slice(-2)).toEqual(['unwatched', 'left c/9 1 true']);
  });

  it('knows a member that came back by its newer stream only', async () => {
    const first = await follow();
    const second = await follow();
    await turns();
    expect(first.heard.said.at(-1)).toBe('closed CONFLICT false');
    second.stream.follow(session + 1, at(100));
    await turns();
    expect(term.said).toEqual(['watched', 'joined b/1 1']);
  });

  it('tells of commits at once, and of many soon, with what is true then', async () => {
    const { heard } = await follow();
    clock.advance(100);
    for (let i = 0; i < 100; i += 1) term.beatSays({ ...someBeat, progress: 1_000 + i });
    await turns();
    expect(heard.said.slice(2)).toEqual(['beat 1000']);
    clock.advance(100);
    await turns();
    expect(heard.said.slice(3)).toEqual(['beat 2']);
  });
});

async function* none(): AsyncIterable<never> {
  // Not one part.
}
