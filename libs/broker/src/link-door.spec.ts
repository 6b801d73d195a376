import {
  type AskRoom,
  type BrokerLink,
  type ClientCommand,
  type Done,
  type FrameStream,
  type ReceiveCall,
  type ReadBody,
  type ReadMembers,
  type RemotePlace,
  GrpcBrokerLink,
  type SessionReport,
} from '@cometmq/client';
import { someTraits } from '@cometmq/client/testing';
import { until } from '@cometmq/metadata/testing';
import { epoch, everything, groupId, logPosition, queueId, queueOffset, topicId, type Receipt } from '@cometmq/model';
import type { CallContext, MessageSink, MessageSource } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { exchange, type Link } from './link-door.js';

// Goal: what is asked at one end of a link is asked at the other, and so is what is answered. Method: both ends over a
// stream in memory, and a broker that writes down what it is asked.

type Asked = [kind: string, call: unknown];

/** Answers what `answers` says, by kind; an error is answered as one. */
class Listener {
  readonly asked: Asked[] = [];
  readonly answers = new Map<string, unknown>();
  readonly commands = new Map<string, (command: ClientCommand) => void>();
  onAsked: (kind: string) => void = () => undefined;

  readonly broker: BrokerLink = new Proxy({} as BrokerLink, {
    get: (_, kind: string) => {
      if (kind === 'onCommand') {
        return (proxyId: string, listener: (command: ClientCommand) => void) => {
          this.commands.set(proxyId, listener);
          return () => this.commands.delete(proxyId);
        };
      }
      return (call: unknown, done?: Done<unknown>) => {
        this.asked.push([kind, call]);
        this.onAsked(kind);
        const answer = this.answers.get(kind);
        if (answer === 'later') return () => this.asked.push([kind, 'taken back']);
        if (answer instanceof MqError) done?.(answer, undefined);
        else done?.(undefined, answer);
        return () => undefined;
      };
    },
  });
}

/** One stream: what one end writes the other reads, at once. */
function linked(broker: BrokerLink, readMembers?: ReadMembers) {
  const clock = new ManualClock();
  const toBroker: ((frame: Uint8Array) => void)[] = [];
  let broken: (error?: MqError) => void = () => undefined;
  let cancel: () => void = () => undefined;
  const links = new Set<Link>();
  const connect = (): FrameStream => {
    let toProxy: (frame: Uint8Array) => void = () => undefined;
    const input = {
      onMessage: (act: (frame: Uint8Array) => void) => toBroker.push(act),
      onEnd: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
    } as unknown as MessageSource;
    const out = {
      open: true,
      write: (frame: Uint8Array) => {
        toProxy(frame);
        return true;
      },
      onDrain: () => undefined,
      end: () => broken(),
      fail: () => undefined,
    } as unknown as MessageSink;
    const call = { onCancel: (act: () => void) => (cancel = act) } as unknown as CallContext;
    exchange(broker, clock, links)(call, input, out);
    return {
      write: (frame) => {
        toBroker.at(-1)?.(frame);
        return true;
      },
      onDrain: () => undefined,
      onMessage: (act) => (toProxy = act),
      onEnd: (act) => (broken = act),
      end: () => undefined,
    };
  };
  const link = new GrpcBrokerLink(connect, clock, undefined, readMembers);
  return {
    link,
    links,
    breakIt: () => {
      cancel();
      broken();
    },
  };
}

const receipt: Receipt = {
  broker: 'broker-0',
  groupId: groupId(3),
  topicId: topicId(4),
  queueId: queueId(5),
  offset: queueOffset(2 ** 40),
  leaseEpoch: epoch(6),
  leasePosition: logPosition(2 ** 41),
  generation: 1,
  attempt: 2,
};
const place = { topicId: topicId(4), position: logPosition(2 ** 41), size: 100, dueMs: 1_800_000_000_000 };
const delivered = { receipt, payload: Buffer.from('payload'), storedMs: 5, originTopicId: topicId(9) };
const ids = { groupId: groupId(3), topicId: topicId(4) };
const queue = { topicId: topicId(4), queueId: queueId(5) };
const pull = { ...queue, offset: queueOffset(7), messagesMax: 8, bytesMax: 9, filter: everything, clientId: 'c' };
const pulled = { offset: queueOffset(7), payload: Buffer.from('payload'), storedMs: 5, originTopicId: topicId(9) };
const ends = { nextOffset: queueOffset(8), firstOffset: queueOffset(0), endOffset: queueOffset(11) };

const calls: [kind: keyof BrokerLink, call: unknown, answer: unknown][] = [
  ['ack', { receipt }, undefined],
  ['changeInvisible', { receipt, invisibleMs: 1000, suspend: true }, { receipt: { ...receipt, attempt: 3 } }],
  ['handBack', { receipts: [receipt, { ...receipt, attempt: 1 }] }, undefined],
  ['deadLetter', { receipt }, undefined],
  ['deadLetter', { held: { ...ids, messageId: 'm', clientId: 'c' } }, undefined],
  ['clientGone', { clientId: 'c', groupId: groupId(3) }, undefined],
  ['recall', { place }, { messageId: 'm' }],
  ['endTransaction', { place: { ...place, dueMs: 0 }, resolution: 'rollback', checked: true }, undefined],
  ['pull', { ...pull, groupId: groupId(3), waitMs: 10 }, { messages: [pulled], ...ends }],
  ['pull', { ...pull, groupId: undefined, waitMs: 0 }, { messages: [], ...ends }],
  ['offsets', { ...queue, ask: { kind: 'first' } }, { offset: queueOffset(0) }],
  ['offsets', { ...queue, ask: { kind: 'end' } }, { offset: queueOffset(2 ** 40) }],
  ['offsets', { ...queue, ask: { kind: 'time', atMs: 1_700_000_000_000 } }, { offset: queueOffset(1) }],
  ['offsets', { ...queue, ask: { kind: 'ofGroup', groupId: groupId(3) } }, { offset: undefined }],
  ['offsets', { ...queue, ask: { kind: 'setForGroup', groupId: groupId(3), offset: queueOffset(6) } }, {}],
  [
    'syncLite',
    { ...ids, clientId: 'c', action: 'add', liteTopics: ['a', 'b'], start: { at: 'tail', value: 5 } },
    undefined,
  ],
  ['syncLite', { ...ids, clientId: 'c', action: 'setAll', liteTopics: [], start: { at: 'first' } }, undefined],
  ['syncLite', { ...ids, clientId: 'c', action: 'removeAll', liteTopics: [], start: undefined }, undefined],
];

function ask(link: BrokerLink, kind: keyof BrokerLink, call: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const method = link[kind].bind(link) as (call: unknown, done: Done<unknown>) => void;
    method(call, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

describe('a link between a proxy and a broker', () => {
  it('is ended by a broker that stops, after what has been answered', async () => {
    const listener = new Listener();
    listener.answers.set('ack', undefined);
    listener.answers.set('recall', 'later');
    const { link, links } = linked(listener.broker);
    // In the turn in which the first was answered, before the answer could go out.
    listener.onAsked = (kind) => {
      if (kind === 'recall') for (const each of links) each.close();
    };
    const answered = ask(link, 'ack', { receipt });
    const unanswered = ask(link, 'recall', { place });
    expect(await answered).toBeUndefined();
    await expect(unanswered).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('is over with what is no frame: nothing is told or waited for on it any more', () => {
    const links = new Set<Link>();
    const failures: number[] = [];
    let say: (frame: Uint8Array) => void = () => undefined;
    const input = { onMessage: (act: (frame: Uint8Array) => void) => (say = act), onEnd: () => undefined };
    const out = { onDrain: () => undefined, fail: (status: number) => void failures.push(status) };
    const call = { onCancel: () => undefined };
    exchange(new Listener().broker, new ManualClock(), links)(
      call as unknown as CallContext,
      input as unknown as MessageSource,
      out as unknown as MessageSink,
    );
    expect(links.size).toBe(1);
    say(Buffer.of(0xff));
    expect(failures).toEqual([3]);
    expect(links.size).toBe(0);
  });

  it('outlives a call that can not be written: that one fails, those beside it go', async () => {
    const listener = new Listener();
    listener.answers.set('recall', { messageId: 'm' });
    const { link } = linked(listener.broker);
    const wrong = ask(link, 'changeInvisible', { receipt, invisibleMs: -1 });
    const right = ask(link, 'recall', { place });
    await expect(wrong).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await right).toEqual({ messageId: 'm' });
  });

  it.each(calls)('carries %s there and back', async (kind, call, answer) => {
    const listener = new Listener();
    listener.answers.set(kind, answer);
    const { link } = linked(listener.broker);
    expect(await ask(link, kind, call)).toEqual(answer);
    expect(listener.asked).toEqual([[kind, call]]);
  });

  it('says where a message lies that no queue shows yet', async () => {
    const listener = new Listener();
    listener.answers.set('send', { offset: queueOffset(0), pending: place });
    const { link } = linked(listener.broker);
    const call = { ...queue, layout: 1, deadlineMs: undefined, tagHash: 1, groupHash: 2 };
    const answer = await ask(link, 'send', { ...call, envelope: Buffer.from('e'), message: [Buffer.from('m')] });
    expect(answer).toEqual({ offset: 0, pending: place });
  });

  describe('reads at members what the leader leaves to them', () => {
    const elsewhere = { position: logPosition(2 ** 40), size: 200, members: ['b:1', 'c:1'] };
    const named = { ...delivered, payload: Buffer.alloc(0), storedMs: 0, place: elsewhere };
    const body: ReadBody = { payload: Buffer.from('from afar'), storedMs: 77, originTopicId: topicId(9) };
    const wanted = { ...ids, queueId: -1, messagesMax: 3, bytesMax: 9, filter: everything, invisibleMs: 1 };
    const receive: ReceiveCall = { ...wanted, autoRenew: false, clientId: 'c', waitMs: 0, attemptId: undefined };
    const handedBack = ['handBack', { receipts: [receipt, receipt, receipt] }];
    let listener: Listener;
    let asked: (readonly RemotePlace[])[];
    let reading: PromiseWithResolvers<readonly (ReadBody | undefined)[]>;
    let link: BrokerLink;

    beforeEach(() => {
      listener = new Listener();
      listener.answers.set('receive', { messages: [named, delivered, named] });
      asked = [];
      reading = Promise.withResolvers();
      ({ link } = linked(listener.broker, (places) => {
        asked.push(places);
        return reading.promise;
      }));
    });

    it('for a receive, in its order, without what nobody can read', async () => {
      const answer = ask(link, 'receive', receive);
      reading.resolve([undefined, body]);
      expect(await answer).toEqual({ messages: [delivered, { ...delivered, ...body }] });
      expect(asked).toEqual([[elsewhere, elsewhere]]);
      expect(listener.asked).toMatchObject([['receive', { readsMembers: true }]]);
    });

    it('for a pull', async () => {
      listener.answers.set('pull', { messages: [{ ...pulled, payload: Buffer.alloc(0), place: elsewhere }], ...ends });
      const answer = ask(link, 'pull', { ...pull, groupId: undefined, waitMs: 0 });
      reading.resolve([body]);
      expect(await answer).toEqual({ messages: [{ ...pulled, ...body }], ...ends });
    });

    it('and gives back what nobody has read, or nobody waits for any more', async () => {
      const answer = ask(link, 'receive', receive);
      reading.reject(new MqError('TIMEOUT', 'nobody answers'));
      await expect(answer).rejects.toMatchObject({ code: 'TIMEOUT' });
      await until('they are given back', () => listener.asked.length > 1);
      expect(listener.asked.slice(1)).toEqual([handedBack]);

      reading = Promise.withResolvers();
      listener.asked.length = 0;
      let answers = 0;
      const takeBack = link.receive(receive, () => (answers += 1));
      await until('they are asked for', () => listener.asked.length > 0);
      takeBack();
      reading.resolve([body, body]);
      await until('they are given back', () => listener.asked.some(([kind]) => kind === 'handBack'));
      expect(listener.asked.filter(([kind]) => kind === 'handBack')).toEqual([handedBack]);
      expect(answers).toBe(0);
    });
  });

  it('carries errors with their code and reason', async () => {
    const listener = new Listener();
    listener.answers.set('recall', new MqError('MESSAGE_NOT_FOUND', 'it was delivered'));
    const { link } = linked(listener.broker);
    await expect(ask(link, 'recall', { place })).rejects.toMatchObject({
      code: 'MESSAGE_NOT_FOUND',
      reason: 'it was delivered',
    });
  });

  const report: SessionReport = {
    proxyId: 'p1',
    sessions: [
      { ...someTraits, clientId: 'c', groupId: groupId(3), subscriptions: [{ ...ids, filter: everything }] },
    ].map(({ clientId, groupId: group, subscriptions, ...traits }) => ({
      ...traits,
      clientId,
      groupId: group,
      subscriptions: subscriptions.map(({ topicId: topic, filter }) => ({ topicId: topic, filter })),
    })),
    producers: [
      {
        ...{ clientId: 'q', topicIds: [topicId(4)], language: 'GO', version: '5.1.4', streaming: false },
        activity: { idleMs: 5, refusals: [{ method: 'SendMessage', code: 'FORBIDDEN', count: 2, agoMs: 7 }] },
      },
    ],
    unconfirmed: [],
  };

  const commands: ClientCommand[] = [
    { clientId: 'c', kind: 'recoverOrphan', place, payload: Buffer.from('payload'), storedMs: 5 },
    { clientId: 'c', kind: 'unsubscribeLite', topicId: topicId(4), liteTopic: 'a' },
    { clientId: 'c', kind: 'printStack', nonce: 'n1' },
    { clientId: 'c', kind: 'reconnect', nonce: 'n2' },
    { clientId: 'c', kind: 'verify', nonce: 'n3', message: delivered },
  ];

  it('carries commands to the proxy that has reported its sessions', async () => {
    const listener = new Listener();
    const { link, breakIt } = linked(listener.broker);
    const heard: ClientCommand[] = [];
    link.onCommand('p1', (command) => heard.push(command));
    link.reportSessions(report);
    await ask(link, 'ack', { receipt }); // Both have been read once this is answered.
    expect(listener.asked[0]).toEqual(['reportSessions', report]);
    for (const command of commands) listener.commands.get('p1')?.(command);
    await ask(link, 'ack', { receipt });
    expect(heard).toEqual(commands);
    link.commandAnswered({ nonce: 'n1', code: 20_000, message: 'OK', text: 'stacks' });
    await ask(link, 'ack', { receipt });
    expect(listener.asked.at(-2)).toEqual([
      'commandAnswered',
      { nonce: 'n1', code: 20_000, message: 'OK', text: 'stacks' },
    ]);
    breakIt();
    expect(listener.commands.size).toBe(0);
  });

  it('carries the newest report only, of those that wait to be written', async () => {
    const listener = new Listener();
    const { link } = linked(listener.broker);
    for (let i = 0; i < 1_000; i += 1) link.reportSessions({ ...report, sessions: [] });
    link.reportSessions(report);
    await ask(link, 'ack', { receipt });
    expect(listener.asked.filter(([kind]) => kind === 'reportSessions')).toEqual([['reportSessions', report]]);
  });

  it('takes waits back, and all of them when the stream breaks', async () => {
    const listener = new Listener();
    listener.answers.set('pull', 'later');
    const { link, breakIt } = linked(listener.broker);
    const cancel = link.pull({ ...pull, groupId: undefined, waitMs: 10 }, () => undefined);
    const second = ask(link, 'pull', { ...pull, groupId: undefined, waitMs: 10 });
    await ask(link, 'ack', { receipt });
    cancel();
    await ask(link, 'ack', { receipt });
    const taken = (): number => listener.asked.filter(([, what]) => what === 'taken back').length;
    expect(taken()).toBe(1);
    breakIt();
    expect(taken()).toBe(2);
    await expect(second).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  const poll = {
    ...ids,
    queueId: -1,
    messagesMax: 1,
    bytesMax: 1000,
    filter: everything,
    invisibleMs: 1000,
    autoRenew: true,
    clientId: 'c',
    waitMs: 1000,
    attemptId: undefined,
  };

  it('tells the leader which connections are lost with it, and what its proxy said last', async () => {
    const listener = new Listener();
    listener.answers.set('receive', 'later');
    const { link, breakIt } = linked(listener.broker);
    link.receive({ ...poll, connection: 'p1/7' }, () => undefined);
    const unconfirmed = [{ epoch: 3, position: 2 ** 40 }];
    link.reportSessions({ proxyId: 'p1', sessions: [], producers: [], unconfirmed });
    while (listener.asked.length < 2) await new Promise(setImmediate);
    breakIt();
    const connection = (listener.asked[0]?.[1] as ReceiveCall).connection ?? '';
    const lost = listener.asked.at(-1);
    expect(lost).toEqual(['linkLost', { prefix: expect.any(String) as string, report: { agoMs: 0, unconfirmed } }]);
    expect(connection).toBe(`${(lost?.[1] as { prefix: string }).prefix}p1/7`);
  });

  it.each(['the poll is taken back', 'the stream breaks'])(
    'gives back what was handed out when %s before the answer has come',
    async (what) => {
      const listener = new Listener();
      listener.answers.set('receive', { messages: [delivered] });
      const { link, breakIt } = linked(listener.broker);
      const cancel = link.receive(poll, () => undefined);
      while (listener.asked.length === 0) await new Promise(setImmediate);
      if (what === 'the stream breaks') breakIt();
      else cancel();
      await ask(link, 'ack', { receipt });
      expect(listener.asked).toContainEqual(['handBack', { receipts: [receipt] }]);
    },
  );

  describe('asks a proxy whether its client has room', () => {
    const large = { ...delivered, payload: Buffer.alloc(100_000, 7) };
    const ready = async (): Promise<void> => {
      for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
    };

    /** A broker that asks for room, and answers once it has it. */
    function asking(message: typeof delivered) {
      const listener = new Listener();
      const seen = { read: 0, takenBack: 0 };
      const broker: BrokerLink = new Proxy(listener.broker, {
        get: (target, kind: string) =>
          kind !== 'receive'
            ? target[kind as keyof BrokerLink]
            : ((({ askRoom }, done) => {
                const read = (): void => {
                  seen.read += 1;
                  done(undefined, { messages: [message] });
                };
                if (!askRoom || askRoom(message.payload.length, read)) read();
                return () => (seen.takenBack += 1);
              }) satisfies BrokerLink['receive']),
      });
      return { ...linked(broker), listener, seen };
    }

    it('before much is read, and takes the answer without asking again', async () => {
      const { link, seen } = asking(large);
      const asked: number[] = [];
      let give: () => void = () => undefined;
      let got: unknown;
      const askRoom: AskRoom = (bytes, granted) => {
        asked.push(bytes);
        give = granted;
        return false;
      };
      link.receive({ ...poll, askRoom }, (_, result) => (got = result));
      await ready();
      expect([asked, seen.read, got]).toEqual([[100_000], 0, undefined]);
      give();
      await ready();
      expect([asked, seen.read, got]).toEqual([[100_000], 1, { messages: [large] }]);
    });

    it('not for little: that is held at the proxy while there is none, and given back with its client', async () => {
      const { link, seen, listener } = asking(delivered);
      let give: () => void = () => undefined;
      const askRoom: AskRoom = (_bytes, granted) => {
        give = granted;
        return false;
      };
      let got: unknown;
      link.receive({ ...poll, askRoom }, (_, result) => (got = result));
      await ready();
      expect([seen.read, got]).toEqual([1, undefined]);
      give();
      expect(got).toMatchObject({ messages: [{ receipt }] });
      const cancel = link.receive({ ...poll, askRoom }, () => {
        throw new Error('nobody waits any more');
      });
      await ready();
      cancel();
      await ready();
      expect(listener.asked).toContainEqual(['handBack', { receipts: [receipt] }]);
    });

    it('and gives back what it would have to hold beyond its bound, with a code that tells the client to wait', async () => {
      const { link, listener } = asking({ ...delivered, payload: Buffer.alloc(60_000) });
      const ends: (string | undefined)[] = [];
      for (let i = 0; i < 300; i += 1) {
        link.receive({ ...poll, askRoom: () => false }, (error) => ends.push(error?.code));
      }
      await ready();
      const heldMax = Math.floor((16 * 1024 * 1024) / 60_000);
      expect(ends).toEqual(Array.from({ length: 300 - heldMax }, () => 'TOO_MANY_REQUESTS'));
      expect(listener.asked.filter(([kind]) => kind === 'handBack').length).toBe(300 - heldMax);
    });

    it('no more once the client has gone', async () => {
      const { link, seen } = asking(large);
      const cancel = link.receive({ ...poll, askRoom: () => false }, () => undefined);
      await ready();
      cancel();
      await ready();
      expect(seen).toEqual({ read: 0, takenBack: 1 });
    });
  });
});
