// Goal: what must never happen is noticed, and what may is not. Method: a ledger is told of sends and deliveries.
import type { ReceivedMessage } from '@cometmq/client';

import { type Circumstances, Ledger, type Reading, type Sent } from './ledger.js';

const readers: Reading = { group: 'readers', isOrderly: false, attemptsMax: 2, invisibleMs: 10_000 };
const ordered: Reading = { ...readers, group: 'ordered', isOrderly: true };
const calm: Circumstances = {
  wallMs: 1_000_000,
  aheadMsMax: 0,
  isWallSteady: true,
  epochs: 1,
  wholeWallMs: undefined,
  copiesOf: () => 1,
};

let ledger: Ledger;
beforeEach(() => (ledger = new Ledger()));

function send(more: Partial<Sent> = {}): void {
  const sent = { topic: 'orders', body: 'one.', number: 0, beganMs: 0, ...more };
  ledger.sending(sent);
  ledger.sent(sent);
}

function delivered(more: Partial<ReceivedMessage> = {}): ReceivedMessage {
  const message = { topic: 'orders', body: Buffer.from('one.'), queueId: 0, offset: 0, attempt: 1, ...more };
  return message as ReceivedMessage;
}

function receive(by: Reading, atMs: number, world: Partial<Circumstances> = {}, more: Partial<ReceivedMessage> = {}) {
  ledger.received(by, delivered(more), atMs, atMs, { ...calm, ...world });
}

describe('a lease', () => {
  it.each([
    ['is over', readers, 10_000, {}, 0],
    ['lasts', readers, 9_999, {}, 1],
    ['was not committed, and the next leader does not know of it', readers, 100, { epochs: 2 }, 0],
    ['keeps an order, so that the next leader knows of it', ordered, 100, { epochs: 2 }, 1],
    ['runs on a clock that was set', readers, 9_000, { isWallSteady: false }, 0],
  ])('%s', (_what, by, againMs, world, wrong) => {
    send();
    receive(by, 0);
    receive(by, againMs, world, { attempt: 2 });
    expect(ledger.wrong).toHaveLength(wrong);
  });
});

it.each([
  ['had its lease before', 0, 0],
  ['had a lease that lasted', 5_000, 1],
])('an earlier attempt that arrives behind a later one %s', (_what, askedMs, wrong) => {
  send();
  ledger.received(readers, delivered({ attempt: 2 }), 10_000, 12_000, calm);
  ledger.received(readers, delivered({ attempt: 1 }), askedMs, 12_001, calm);
  expect(ledger.wrong).toHaveLength(wrong);
});

it('a message that comes more often than allowed is noticed', () => {
  send();
  receive(readers, 0, {}, { attempt: 3 });
  expect(ledger.wrong.join()).toContain('for the 3. time');
});

describe('a delayed message', () => {
  const dueMs = calm.wallMs;
  it.each([
    ['at its time', {}, {}, undefined],
    ['before its time', { wallMs: dueMs - 1 }, {}, '1 ms before its time'],
    ['before its time, by the clock of a member', { wallMs: dueMs - 1, aheadMsMax: 5 }, {}, undefined],
    ['late, while things break', { wallMs: dueMs + 60_000 }, {}, undefined],
    ['late', { wallMs: dueMs + 30_000, wholeWallMs: dueMs }, {}, '30000 ms after its time'],
    ['late, as its first answer was lost', { wallMs: dueMs + 30_000, wholeWallMs: dueMs }, { attempt: 2 }, undefined],
  ])('%s', (_what, world, more, wrong) => {
    send({ dueMs });
    receive(readers, 0, world, more);
    expect(ledger.wrong.join()).toContain(wrong ?? '');
    expect(ledger.wrong).toHaveLength(wrong === undefined ? 0 : 1);
  });
});

describe('a dead letter', () => {
  it.each([
    ['after its last attempt', 20_000, {}, undefined],
    ['too soon', 19_999, {}, 'attempts last until 20000'],
    ['too soon, by a clock that was set', 5_000, { isWallSteady: false }, undefined],
  ])('%s', (_what, atMs, world, wrong) => {
    send({ isPoison: true });
    ledger.deadLetter(readers, delivered(), atMs, { ...calm, ...world });
    expect(ledger.wrong.join()).toContain(wrong ?? '');
    expect(ledger.wrong).toHaveLength(wrong === undefined ? 0 : 1);
  });

  it('is what becomes of one that nobody acknowledges', () => {
    send({ isPoison: true });
    receive(readers, 0);
    expect(ledger.missing.size).toBe(1);
    ledger.deadLetter(readers, delivered(), 20_000, calm);
    expect(ledger.missing.size).toBe(0);
  });

  it('is there once, or as often as the message is', () => {
    send();
    for (const offset of [0, 1])
      ledger.deadLetter(readers, delivered({ offset }), 20_000, { ...calm, copiesOf: () => 2 });
    expect(ledger.wrong).toEqual([]);
    ledger.deadLetter(readers, delivered({ offset: 2 }), 20_000, { ...calm, copiesOf: () => 2 });
    expect(ledger.wrong).toHaveLength(1);
  });

  it('is not what was acknowledged', () => {
    send();
    ledger.done('readers', delivered(), 1);
    ledger.deadLetter(readers, delivered(), 20_000, calm);
    expect(ledger.wrong.join()).toContain('was acknowledged');
  });

  it('may be one of two copies, of which the other one was acknowledged', () => {
    send();
    ledger.done('readers', delivered(), 1);
    ledger.deadLetter(readers, delivered({ offset: 1 }), 20_000, { ...calm, copiesOf: () => 2 });
    expect(ledger.wrong).toEqual([]);
    ledger.done('readers', delivered({ offset: 1 }), 1);
    ledger.deadLetter(readers, delivered({ offset: 1 }), 20_000, { ...calm, copiesOf: () => 2 });
    expect(ledger.wrong.join()).toContain('was acknowledged');
  });
});

it('a lite topic has its own messages, in order', () => {
  const lite = (body: string, number: number): Partial<Sent> => ({ topic: 'sessions', body, number, liteTopic: 'a' });
  send(lite('zero.', 0));
  send(lite('one.', 1));
  const got = { topic: 'sessions', liteTopic: 'a' };
  receive(ordered, 0, {}, { ...got, offset: 1 });
  receive(ordered, 0, {}, { ...got, body: Buffer.from('zero.') });
  expect(ledger.wrong.join()).toContain('for the first time after number 1');
  receive(ordered, 20_000, {}, { ...got, liteTopic: 'b', offset: 7 });
  expect(ledger.wrong.join()).toContain('of lite topic b, not of a');
});
