/**
 * What delivery state costs without log and network: CPU for a delivery and an acknowledgement in batches of 32
 * (decision, record, fold), also in order within 1,000 message groups a queue, and the memory of many messages in flight.
 */
import { groupId, queueId, queueOffset, topicId, type Receipt } from '@cometmq/model';
import { GroupsView, type PopDecision, type QueueEntries, type QueueSource } from '@cometmq/consumption';
import { FoldingLog, everyTag } from '@cometmq/consumption/testing';

export interface DeliveryStateJob {
  readonly batches: number;
  readonly queues: number;
  readonly inFlight: number;
}

export interface DeliveryStateFigures {
  readonly deliveryMicros: number;
  readonly ackMicros: number;
  readonly orderlyDeliveryMicros: number;
  readonly orderlyAckMicros: number;
  /** Of so many messages handed out one by one. */
  readonly inFlightMiB: number;
  /** Of as many that wait behind one stuck message group. */
  readonly stuckMiB: number;
  /** For each of them, to be looked at and left to wait. */
  readonly stuckMicros: number;
}

/** A queue that never ends and makes no garbage. */
class EndlessQueue implements QueueSource, QueueEntries {
  /** @param groups message groups, in turn; 0: none */
  constructor(private readonly groups: number) {}

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
  groupHash = (index: number) => (this.groups === 0 ? 0 : 1 + ((this.from + index) % this.groups));
  payload = () => undefined;
}

const group = groupId(1);
const topic = topicId(1);

const orderly = { backoffMs: () => 1_000 };

const clientId = 'host@1234@5@abcdefgh';

function pop(
  view: GroupsView,
  source: QueueSource,
  queue: number,
  nowMs: number,
  max: number,
  inOrder = false,
): PopDecision {
  return view.decidePop({
    ...(inOrder && { orderly }),
    groupId: group,
    clientId,
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

/** CPU of the whole process, collector and compiler included. */
function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export function benchDeliveryState(job: DeliveryStateJob): Promise<DeliveryStateFigures> {
  // Memory first, before anything is left behind that could go meanwhile.
  const stuckFigures = stuck(job.inFlight);
  const inFlightMiB = memoryOf(job.inFlight);
  speed(Math.ceil(job.batches / 16), job.queues, 0);
  const plain = speed(job.batches, job.queues, 0);
  speed(Math.ceil(job.batches / 16), job.queues, 1_000);
  const inOrder = speed(job.batches, job.queues, 1_000);
  const orderlyFigures = { orderlyDeliveryMicros: inOrder.deliveryMicros, orderlyAckMicros: inOrder.ackMicros };
  return Promise.resolve({ ...plain, ...orderlyFigures, inFlightMiB, ...stuckFigures });
}

/** One message group, its first message with a client that does not come back; another client polls on and on. */
function stuck(messages: number): { stuckMiB: number; stuckMicros: number } {
  const before = usedMiB();
  const view = new GroupsView();
  const log = new FoldingLog(view);
  const source = new EndlessQueue(1);
  const nowMs = 1_700_000_000_000;
  log.append(pop(view, source, 0, nowMs, 1, true).record as never, nowMs);
  const start = cpuMicros();
  for (let seen = 0; seen < messages; seen += 1000) {
    log.append(pop(view, source, 0, nowMs, 32, true).record as never, nowMs);
    log.records.length = 0;
  }
  const stuckMicros = (cpuMicros() - start) / messages;
  if ((view.figures(group, topic, queueId(0))?.blocked ?? 0) < messages) throw new Error('all of them wait');
  return { stuckMicros, stuckMiB: usedMiB() - before };
}

function speed(batches: number, queues: number, groups: number): { deliveryMicros: number; ackMicros: number } {
  const view = new GroupsView();
  const log = new FoldingLog(view);
  const sources = Array.from({ length: queues }, () => new EndlessQueue(groups));
  let delivery = 0;
  let ack = 0;
  const perRound = 64;
  for (let i = 0; i < batches; i += perRound) {
    const nowMs = 1_700_000_000_000 + i;
    const flying: Receipt[][] = [];
    const start = cpuMicros();
    for (let j = 0; j < perRound; j += 1) {
      const decision = pop(view, sources[j % queues] as EndlessQueue, j % queues, nowMs, 32, groups > 0);
      const lease = log.append(decision.record as never, nowMs);
      view.sendVia(group, clientId, { epoch: log.epoch, position: lease }, 'proxy/1');
      flying.push(decision.handed.map((message) => log.receipt(group, message, lease)));
    }
    const popped = cpuMicros();
    delivery += popped - start;
    if (i % (16 * perRound) === 0) view.takeChanges();
    const taken = cpuMicros();
    for (const receipts of flying) log.append(view.decideAck(receipts, nowMs).record as never, nowMs);
    ack += cpuMicros() - taken;
    log.records.length = 0;
  }
  const messages = batches * 32;
  return { deliveryMicros: delivery / messages, ackMicros: ack / messages };
}

/** Handed out one by one within a minute, so that none becomes due again. */
function memoryOf(inFlight: number): number {
  const before = usedMiB();
  const view = new GroupsView();
  const log = new FoldingLog(view);
  const source = new EndlessQueue(0);
  const queues = 8;
  for (let i = 0; i < inFlight; i += 1) {
    const nowMs = 1_700_000_000_000 + Math.floor((i * 59_000) / inFlight);
    log.append(pop(view, source, i % queues, nowMs, 1).record as never, nowMs);
    log.records.length = 0;
  }
  const held = usedMiB() - before;
  let found = 0;
  for (let queue = 0; queue < queues; queue += 1) {
    found += view.figures(group, topic, queueId(queue))?.inFlight ?? 0;
  }
  if (found !== inFlight) throw new Error(`${inFlight} are in flight, not ${found}`);
  return held;
}

/** Needs --expose-gc. */
function usedMiB(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}
