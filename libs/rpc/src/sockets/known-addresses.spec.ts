import dns, { type LookupAddress } from 'node:dns';
import { ManualClock } from '@cometmq/shared/testing';

import { KnownAddresses, rememberNames } from './known-addresses.js';

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

// Goal: a name service that is away keeps nobody from those whose address was known. Method: one that answers when it is told.
describe('KnownAddresses', () => {
  const host = 'broker-1.mq';
  const [first, second] = ['198.18.65.4', '198.18.66.9'].map((address) => [{ address, family: 4 }]);
  let clock: ManualClock;
  let asked: Answer[];
  let known: KnownAddresses;
  beforeEach(() => {
    clock = new ManualClock();
    asked = [];
    known = new KnownAddresses(clock, (_hostname, _options, answer) => asked.push(answer));
  });

  /** What it says, once it says something. */
  const lookUp = (): { answer: unknown } => {
    const heard: { answer: unknown } = { answer: undefined };
    known.lookup(host, { all: true }, (error, addresses) => (heard.answer = error?.code ?? addresses));
    return heard;
  };
  const answer = (error: string | undefined, addresses: LookupAddress[] = []): void => {
    asked.shift()?.(error === undefined ? null : Object.assign(new Error(error), { code: error }), addresses);
  };

  it('tells what it is told, each time anew', () => {
    const one = lookUp();
    answer(undefined, first);
    const two = lookUp();
    answer(undefined, second);
    expect([one.answer, two.answer]).toEqual([first, second]);
  });

  it('gives one address in its words to who asks for one', () => {
    const callback = jest.fn();
    known.lookup(host, { family: 4 }, callback);
    answer(undefined, [{ address: '::1', family: 6 }, ...(first ?? [])]);
    expect(callback).toHaveBeenCalledWith(null, '198.18.65.4', 4);
  });

  it('stays with what it knew while nobody answers, and takes in what comes late', () => {
    lookUp();
    answer(undefined, first);
    const whileSilent = lookUp();
    expect(whileSilent.answer).toBeUndefined();
    clock.advance(1_000);
    expect(whileSilent.answer).toEqual(first);
    answer(undefined, second); // Late.
    const afterwards = lookUp();
    clock.advance(1_000);
    expect(afterwards.answer).toEqual(second);
  });

  it('stays with what it knew where the answer is that there is none for now', () => {
    lookUp();
    answer(undefined, first);
    const failed = lookUp();
    answer('EAI_AGAIN');
    expect(failed.answer).toEqual(first);
  });

  it('believes that a name is gone, and forgets it', () => {
    lookUp();
    answer(undefined, first);
    const gone = lookUp();
    answer('ENOTFOUND');
    const silent = lookUp();
    clock.advance(1_000);
    answer('EAI_AGAIN');
    expect([gone.answer, silent.answer]).toEqual(['ENOTFOUND', 'EAI_AGAIN']);
  });

  it('asks once for all who wait', () => {
    const all = [lookUp(), lookUp(), lookUp()];
    expect(asked).toHaveLength(1);
    answer(undefined, first);
    expect(all.map((each) => each.answer)).toEqual([first, first, first]);
  });
});

describe('rememberNames', () => {
  const { lookup } = dns.promises;
  afterEach(() => (dns.promises.lookup = lookup));

  // Goal: what @grpc/grpc-js asks for is answered in its words. Method: names that need no network.
  it('answers as Node.js does, for all addresses and for one', async () => {
    rememberNames();
    const all = await dns.promises.lookup('localhost', { all: true });
    expect(all.length).toBeGreaterThan(0);
    expect(all).toContainEqual(await dns.promises.lookup('localhost'));
    await expect(dns.promises.lookup('no.such.host.invalid', { all: true })).rejects.toMatchObject({
      syscall: 'getaddrinfo',
    });
  });
});
