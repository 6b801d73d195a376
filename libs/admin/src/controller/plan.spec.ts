// Goal: from whatever state, the steps lead to ready or gone, and none takes what is somebody else's. Method: the decision alone,
// against a small world that does what it says.
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { differenceText, nextStep, type Facts, type Found, type Step } from './plan.js';

const calm: Facts = {
  what: 'topic "orders"',
  settled: false,
  deleting: false,
  hasFinalizer: true,
  fault: undefined,
  rival: undefined,
  owned: 1,
  found: { identity: 1, differences: [], adoptable: true },
  restorable: false,
  blocked: undefined,
  unprepared: false,
  adopts: false,
  keeps: false,
  deletesWithBacklog: false,
  settling: false,
  backlog: undefined,
};
const other = { field: 'writeQueues', is: 4, wanted: 8 };
const found = (change: Partial<Found>): Found => ({ identity: 1, differences: [], adoptable: true, ...change });

it.each<[string, Partial<Facts>, Partial<Step>]>([
  ['is ready', {}, { do: 'say', ready: true }],
  ['is made', { found: undefined }, { do: 'create' }],
  ['is brought back', { found: undefined, restorable: true }, { do: 'restore' }],
  ['is guarded first', { hasFinalizer: false, found: undefined }, { do: 'addFinalizer' }],
  ['is changed', { found: found({ differences: [other] }) }, { do: 'change', drift: false }],
  ['is repaired', { settled: true, found: found({ differences: [other] }) }, { do: 'change', drift: true }],
  [
    'can not be changed',
    { found: found({ differences: [{ ...other, fixed: true }] }) },
    { do: 'say', reason: 'Immutable' },
  ],
  ['of another is adopted if it is the same', { owned: undefined }, { do: 'adopt' }],
  [
    'of another is left alone',
    { owned: 2, found: found({ differences: [other] }) },
    { do: 'say', reason: 'AlreadyExists' },
  ],
  [
    'of another is adopted on demand',
    { owned: 2, adopts: true, found: found({ differences: [other] }) },
    { do: 'adopt' },
  ],
  [
    'of another gives nothing away',
    { owned: 2, found: found({ adoptable: false }) },
    { do: 'say', reason: 'AlreadyExists' },
  ],
  ['of another is not prepared for', { owned: 2, unprepared: true, found: found({ adoptable: false }) }, { do: 'say' }],
  ['is prepared for', { unprepared: true, found: undefined }, { do: 'prepare' }],
  ['with a fault says so', { fault: 'no', hasFinalizer: false }, { do: 'say', reason: 'Invalid' }],
  ['that another one wants is left to it', { rival: 'CometTopic a' }, { do: 'say', reason: 'NameTaken' }],
  ['is counted before it goes', { deleting: true }, { do: 'count' }],
  ['goes when it is empty', { deleting: true, backlog: '' }, { do: 'delete' }],
  ['stays while it is not', { deleting: true, backlog: '3 messages' }, { do: 'say', reason: 'Backlog' }],
  ['goes all the same on demand', { deleting: true, deletesWithBacklog: true }, { do: 'delete' }],
  ['is kept', { deleting: true, keeps: true }, { do: 'removeFinalizer' }],
  ['is gone', { deleting: true, found: undefined }, { do: 'removeFinalizer' }],
  ['of another stays', { deleting: true, owned: 2, deletesWithBacklog: true }, { do: 'removeFinalizer' }],
  ['without a guard is not ours', { deleting: true, hasFinalizer: false }, { do: 'nothing' }],
  ['waits for others', { deleting: true, settling: true }, { do: 'say', reason: 'Deleting' }],
])('a topic that %s', (_what, facts, step) => {
  expect(nextStep({ ...calm, ...facts })).toMatchObject(step);
});

it('says what differs, and no more of it than is read', () => {
  const wanted = 'x'.repeat(500);
  expect(differenceText([other, { field: 'a', is: undefined, wanted }])).toBe(
    `writeQueues is 4 instead of 8, a is not set instead of ${'x'.repeat(120)}…`,
  );
});

it.each(seeds(300))('comes to an end, and takes only what is its own (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const maybe = (): boolean => chance.chance(0.5);
  const mine = maybe() ? 1 : undefined;
  let facts: Facts = {
    ...calm,
    ...{ deleting: maybe(), hasFinalizer: maybe(), owned: mine, restorable: maybe(), unprepared: maybe() },
    ...{ adopts: maybe(), keeps: maybe(), deletesWithBacklog: maybe() },
    found: maybe()
      ? found({ identity: 1 + chance.below(2), adoptable: maybe(), differences: maybe() ? [other] : [] })
      : undefined,
  };
  const { found: before, adopts } = facts;
  for (let steps = 0; ; steps += 1) {
    expect(steps).toBeLessThan(8);
    const step = nextStep(facts);
    if (step.do === 'say' || step.do === 'nothing' || step.do === 'removeFinalizer') break;
    facts = { ...facts, ...done(step, facts) };
  }
  const isForeign = before !== undefined && before.identity !== mine;
  if (isForeign && facts.deleting) expect(facts.found).toBe(before);
  if (isForeign && !adopts && (!before.adoptable || before.differences.length > 0)) expect(facts.found).toBe(before);
  if (facts.deleting && facts.hasFinalizer && mine === 1 && before?.identity === 1) {
    expect(facts.found === undefined).toBe(!facts.keeps);
  }
});

function done(step: Step, facts: Facts): Partial<Facts> {
  switch (step.do) {
    case 'addFinalizer':
      return { hasFinalizer: true };
    case 'prepare':
      return { unprepared: false };
    case 'create':
      return { owned: 7, found: found({ identity: 7 }) };
    case 'restore':
      return { owned: 1, found: found({ identity: 1 }) };
    case 'adopt':
      return { owned: facts.found?.identity };
    case 'change':
      return { found: found({ identity: facts.found?.identity ?? 0 }) };
    case 'count':
      return { backlog: '' };
    case 'delete':
      return { found: undefined };
    default:
      throw new Error(`${step.do} is an end`);
  }
}
