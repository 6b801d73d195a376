/**
 * Goal: every line reaches the audit topic, in order, with the same id however often it is sent; while nobody takes them they wait
 * in their file. Method: a source of lines and brokers that do as they are told, and a clock that is moved by hand.
 */
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { AuditDelivery } from './audit-delivery.js';
import type { AppendAuditCall } from './broker-admin.js';

const entry = (operation: string, more: object = {}): string =>
  JSON.stringify({ time: '2026-11-30T12:00:00.000Z', operation, decision: 'done', ...more });

/** Two lines at a time; what is not done is given again. */
class FakeLines {
  readonly lines: string[] = [];
  kept = 0;

  next() {
    const { kept } = this;
    const texts = this.lines.slice(kept, kept + 2);
    if (texts.length === 0) return Promise.resolve(undefined);
    const lines = texts.map((text, i) => ({ id: `at ${kept + i}`, text }));
    const done = (): Promise<void> => Promise.resolve(void (this.kept = kept + texts.length));
    return Promise.resolve({ lines, done });
  }
}

let clock: ManualClock;
let source: FakeLines;
let calls: (AppendAuditCall & { readonly brokerSet: string })[];
let sets: { readonly name: string; readonly stage: 'serving' }[];
let refusal: MqError | undefined;
let told: string[];
let delivery: AuditDelivery;

beforeEach(() => {
  clock = new ManualClock();
  source = new FakeLines();
  calls = [];
  sets = [{ name: 'broker-0', stage: 'serving' }];
  refusal = undefined;
  told = [];
  delivery = begin('dashboard-api host');
});
afterEach(() => delivery.stop());

function begin(process: string): AuditDelivery {
  return new AuditDelivery({
    ...{ source, clock, process, tell: (level, said) => told.push(`${level}: ${said}`) },
    directory: { brokerSets: () => sets as never },
    brokers: {
      appendAudit: (brokerSet, call) => {
        calls.push({ ...call, brokerSet });
        return refusal ? Promise.reject(refusal) : Promise.resolve();
      },
    },
  });
}
async function passes(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    clock.advance(100);
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  }
}
const operations = (): (string | undefined)[] =>
  calls.flatMap(({ lines }) => lines.map(({ properties }) => properties.get('operation')));

it('sends what stands in the file at the start, and what is written later, in order', async () => {
  source.lines.push(entry('one'), entry('two', { user: 'ada', requestId: 'r-2', decision: 'refused' }), entry('three'));
  await delivery.start();
  await passes(1_000);
  source.lines.push(entry('four'));
  delivery.wake();
  await passes(1_000);
  expect(operations()).toEqual(['one', 'two', 'three', 'four']);
  expect(source.kept).toBe(4);
  expect(calls[0]?.lines[1]).toMatchObject({ tag: 'refused', keys: ['r-2'], timeMs: Date.UTC(2026, 10, 30, 12) });
  expect(calls[0]?.lines[1]?.properties.get('user')).toBe('ada');
  const ids = calls.flatMap(({ lines }) => lines.map(({ id }) => id));
  expect(new Set(ids).size).toBe(4);
  for (const id of ids) expect(id).toMatch(/^[0-9A-F]{34}$/);
});

it('waits while nobody takes them, says so once, and sends them again with the ids they had', async () => {
  source.lines.push(entry('one'), entry('two'));
  refusal = new MqError('UNAVAILABLE', 'nobody leads broker-0');
  await delivery.start();
  await passes(60_000);
  expect(calls.length).toBeGreaterThan(3);
  expect(calls.length).toBeLessThan(20);
  expect(source.kept).toBe(0);
  expect(told).toHaveLength(1);
  refusal = undefined;
  await passes(11_000);
  expect(source.kept).toBe(2);
  expect(calls.at(-1)?.lines).toEqual(calls[0]?.lines);
  expect(told).toHaveLength(2);
});

it('sends all lines of one process where its message group is at home, whatever its name', async () => {
  sets = [
    { name: 'a', stage: 'serving' },
    { name: 'b', stage: 'serving' },
    { name: 'c', stage: 'serving' },
  ];
  const long = `proxy ${'x'.repeat(80)}`;
  source.lines.push(...Array.from({ length: 9 }, (_, i) => entry(`op ${i}`)));
  delivery = begin(long);
  await delivery.start();
  await passes(1_000);
  expect(new Set(calls.map(({ brokerSet }) => brokerSet)).size).toBe(1);
  expect(new Set(calls.map(({ source: group }) => group))).toEqual(new Set([long.slice(-64)]));
  sets = [];
  source.lines.push(entry('later'));
  delivery.wake();
  await passes(5_000);
  expect(source.kept).toBe(9);
});

it('passes over what is no entry, and sends the last ones before it ends', async () => {
  source.lines.push('{"time":"2026-', 'null', '[]', '{"time":{},"operation":"x"}', entry('one', { user: { name: 1 } }));
  await delivery.stop();
  expect(operations()).toEqual(['one']);
  expect(source.kept).toBe(5);
});
