/**
 * What delivery state costs: CPU for a hand-out and an acknowledgement of 32 messages (decision, record, fold), and the
 * memory of a million messages in flight and of 50,000 queues.
 *
 *   npx esbuild libs/consumption/bench/delivery.bench.ts --bundle --platform=node --format=cjs --outfile=tmp/delivery.bench.cjs
 *   for part in speed batches single queues; do node --expose-gc tmp/delivery.bench.cjs $part; done
 */
import { groupId, queueId, queueOffset, topicId, type Receipt } from '@cometmq/model';
import { systemClock } from '@cometmq/shared';

import { GroupsView, type QueueEntries, type QueueSource } from '../src/index.js';
import { everyTag, FoldingLog } from '../src/testing.js';

/** A queue that never ends and makes no garbage. */
class EndlessQueue implements QueueSource, QueueEntries {
  first = queueOffset(0);
  next = queueOffset(2 ** 40);
  from = queueOffset(0);
  count = 0;
  entries(from: number, max: number): QueueEntries {
    this.from = queueOffset(from);
    this.count = max;
    return this;
  }
  position = (index: number) => ((this.from + index) * 1000) as never;
  size = () => 1024;
  tagHash = () => 0;
  groupHash = () => 0;
}

const group = groupId(1);
const topic = topicId(1);

function pop(view: GroupsView, source: QueueSource, queue: number, nowMs: number, max = 32) {
  return view.decidePop({
    groupId: group,
    clientId: 'host@1234@5@abcdefgh',
    autoRenew: true,
    nowMs,
    visibleAtMs: nowMs + 60_000,
    messagesMax: max,
    bytesMax: 64 * 1024 * 1024,
    attemptsMax: 17,
    filter: everyTag,
    groupFilters: [everyTag],
    scanMax: 1000,
    queues: [{ topicId: topic, queueId: queueId(queue), start: queueOffset(0), source }],
  });
}

/** CPU of the whole process, collector and compiler included: on a shared machine the clock tells little. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function throughput(batches: number, queues: number): void {
  const view = new GroupsView();
  const log = new FoldingLog(view);
  const sources = Array.from({ length: queues }, () => new EndlessQueue());
  const spentMs = { pop: 0, ack: 0, checkpoint: 0 };
  const perRound = 64;
  for (let i = 0; i < batches; i += perRound) {
    const nowMs = 1_700_000_000_000 + i;
    const flying: Receipt[][] = [];
    const start = cpuMs();
    for (let j = 0; j < perRound; j += 1) {
      const decision = pop(view, sources[j % queues] as EndlessQueue, j % queues, nowMs);
      const lease = log.append(decision.record as never, nowMs);
      flying.push(decision.handed.map((message) => log.receipt(group, message, lease)));
    }
    const popped = cpuMs();
    if (i % (16 * perRound) === 0) view.takeChanges();
    const taken = cpuMs();
    for (const receipts of flying) log.append(view.decideAck(receipts, nowMs).record as never, nowMs);
    spentMs.pop += popped - start;
    spentMs.checkpoint += taken - popped;
    spentMs.ack += cpuMs() - taken;
    log.records.length = 0;
  }
  const messages = batches * 32;
  const each = (ms: number) => `${((ms * 1000) / messages).toFixed(3)} us`;
  print(
    `${queues} queues, ${messages} messages: hand-out ${each(spentMs.pop)}, ack ${each(spentMs.ack)}, ` +
      `checkpoints ${each(spentMs.checkpoint)} of CPU a message`,
  );
}

function usedMiB(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

function memory(name: string, queues: number, batches: number, max: number): void {
  const before = usedMiB();
  const view = new GroupsView();
  const log = new FoldingLog(view);
  const source = new EndlessQueue();
  const start = systemClock.monotonicMs();
  for (let q = 0; q < queues; q += 1) {
    for (let i = 0; i < batches; i += 1) {
      log.append(pop(view, source, q, 1_700_000_000_000 + i, max).record as never, 1_700_000_000_000 + i);
      log.records.length = 0;
    }
  }
  const spentMs = systemClock.monotonicMs() - start;
  const heldMiB = usedMiB() - before;
  const beforeTake = systemClock.monotonicMs();
  const changes = view.takeChanges();
  const takeMs = systemClock.monotonicMs() - beforeTake;
  const bytes = changes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
  const beforeLoad = systemClock.monotonicMs();
  const other = new GroupsView();
  for (const { key, value } of changes) if (value) other.load(key, value);
  other.progressOf(group);
  print(
    `${name}: ${heldMiB.toFixed(1)} MiB, made in ${spentMs.toFixed(0)} ms; all of it saved in ${takeMs.toFixed(0)} ms ` +
      `(${changes.length} pieces, ${(bytes / 2 ** 20).toFixed(1)} MiB), loaded in ${(systemClock.monotonicMs() - beforeLoad).toFixed(0)} ms`,
  );
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

// Each in a process of its own: what one leaves behind is not the next one's.
const cases: Record<string, () => void> = {
  speed: () => {
    throughput(2000, 8);
    throughput(60_000, 1);
    throughput(60_000, 8);
  },
  batches: () => memory('1,000,000 in flight in batches of 32', 8, 3906, 32),
  single: () => memory('1,000,000 in flight one by one', 8, 125_000, 1),
  queues: () => memory('50,000 queues, one message in flight in each', 50_000, 1, 1),
};
cases[process.argv[2] ?? 'speed']?.();
