// Goal: what was done is found again, page by page; a flood of refusals costs neither memory nor the lines of changes.
import { ManualClock } from '@cometmq/shared/testing';

import { AuditLog, type AuditEntry } from './audit-log.js';

const said = (operation: string, more: Partial<AuditEntry> = {}): Omit<AuditEntry, 'time'> => ({
  ...{ how: 'token', from: '10.0.0.1', operation, decision: 'done' },
  ...more,
});

it('is read newest first, by pages, and by who, what and how it ended', () => {
  const log = new AuditLog(new ManualClock(), undefined);
  for (let i = 0; i < 5; i += 1) void log.record(said(`op${i}`, { user: i % 2 === 0 ? 'ada' : 'bob' }));
  const first = log.page({ limit: 2 });
  expect(first.items.map(({ operation }) => operation)).toEqual(['op4', 'op3']);
  const second = log.page({ limit: 2, before: first.next });
  expect(second.items.map(({ operation }) => operation)).toEqual(['op2', 'op1']);
  expect(log.page({ limit: 2, before: second.next })).toMatchObject({ items: [{ operation: 'op0' }] });
  expect(log.page({ user: 'bob' }).items.map(({ operation }) => operation)).toEqual(['op3', 'op1']);
  expect(log.page({ operation: 'op2', decision: 'refused' })).toEqual({ items: [] });
});

it('knows what an earlier process wrote, and passes over lines that were cut off', () => {
  const lines: string[] = [];
  const clock = new ManualClock();
  void new AuditLog(clock, async (line) => void lines.push(line)).record(said('deleteTopic'));
  const log = new AuditLog(clock, undefined);
  log.remember([...lines, '{"time":"2027', 'null', '']);
  expect(log.page({}).items).toMatchObject([{ id: 1, operation: 'deleteTopic' }]);
});

it('keeps some of a flood of refusals, says how many it did not, and every change', async () => {
  const clock = new ManualClock();
  const lines: string[] = [];
  const log = new AuditLog(clock, async (line) => void lines.push(line));
  for (let i = 0; i < 10_000; i += 1) void log.record(said('SendMessage', { decision: 'refused' }));
  await new Promise(setImmediate);
  expect(lines).toHaveLength(200);
  await log.record(said('createTopic'));
  expect(lines).toHaveLength(201);
  clock.advance(1_000);
  await log.record(said('SendMessage', { decision: 'refused' }));
  expect(lines.map((line) => (JSON.parse(line) as AuditEntry).unrecorded ?? 0).reduce((a, b) => a + b)).toBe(9_800);
});

it('leaves what room there is to changes: refusals are counted only', async () => {
  const lines: string[] = [];
  let isShort = true;
  const log = new AuditLog(
    new ManualClock(),
    async (line) => void lines.push(line),
    () => isShort,
  );
  for (let i = 0; i < 3; i += 1) void log.record(said('SendMessage', { decision: 'refused' }));
  expect(lines).toEqual([]);
  void log.record(said('createTopic'));
  isShort = false;
  await log.record(said('SendMessage', { decision: 'refused' }));
  expect(lines.map((line) => JSON.parse(line) as AuditEntry)).toMatchObject([
    { operation: 'createTopic', unrecorded: 3 },
    { operation: 'SendMessage' },
  ]);
});

it('takes no more while lines can not be written, or wait for too long', async () => {
  const clock = new ManualClock();
  let keep = (): Promise<void> => Promise.reject(new Error('the disk is full'));
  const log = new AuditLog(clock, () => keep());
  expect(log.takesMore).toBe(true);
  void log.record(said('createTopic'));
  await new Promise(setImmediate);
  expect(log.takesMore).toBe(false);
  keep = () => Promise.resolve();
  void log.record(said('listTopics'));
  await new Promise(setImmediate);
  expect(log.takesMore).toBe(true);
  keep = () => new Promise(() => undefined);
  for (let i = 0; i < 1_000; i += 1) void log.record(said('createTopic'));
  expect(log.takesMore).toBe(false);
});

it('keeps no more lines than it may while none gets written, and says how many it left out', async () => {
  const lines: string[] = [];
  let open = (): void => undefined;
  const isOpen = new Promise<void>((resolve) => (open = resolve));
  const log = new AuditLog(new ManualClock(), (line) => {
    lines.push(line);
    return isOpen;
  });
  for (let i = 0; i < 10_050; i += 1) void log.record(said('listMessages', { decision: 'failed' }));
  open();
  await new Promise(setImmediate);
  expect(lines).toHaveLength(10_000);
  void log.record(said('createTopic'));
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ operation: 'createTopic', unrecorded: 50 });
});

// Goal: what could not be written is written later, before what came after it; nobody has to be refused for that.
it('keeps the order of lines of which one in the middle fails, and writes it by itself once that is over', async () => {
  const clock = new ManualClock();
  const lines: string[] = [];
  let failures = 0;
  const log = new AuditLog(clock, async (line) => {
    const { operation } = JSON.parse(line) as AuditEntry;
    if (operation === 'second' && failures < 3) {
      failures += 1;
      throw new Error('the disk is full');
    }
    lines.push(operation);
  });
  const told = Promise.all(['first', 'second', 'third'].map((operation) => log.record(said(operation))));
  await told; // Nobody waits for a disk that may never be well again.
  expect(lines).toEqual(['first']);
  expect(log.takesMore).toBe(false);
  await log.record(said('fourth')); // Tries, too.
  void log.record(said('refused', { decision: 'refused' }));
  expect(lines).toEqual(['first']);
  for (let i = 0; i < 3; i += 1) {
    clock.advance(1_000);
    await new Promise(setImmediate);
  }
  expect(lines).toEqual(['first', 'second', 'third', 'fourth']);
  expect(log.takesMore).toBe(true);
  expect(log.page({}).items.map(({ operation }) => operation)).toEqual(['fourth', 'third', 'second', 'first']);
  await log.record(said('fifth'));
  expect(log.page({ limit: 1 }).items).toMatchObject([{ operation: 'fifth', unrecorded: 1 }]);
});
