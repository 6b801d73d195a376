/**
 * The load: sends, drains and long polls, run in a process of its own. The server's CPU is read at the very borders of
 * the measured time, so that neither warming up nor the end of it counts.
 */
import { tmpdir } from 'node:os';

import { cpuSecondsOf, diskWrittenBytes, machineCpuSeconds } from '../support/proc.js';
import { H2Client } from './h2-client.js';
import { Histogram } from './histogram.js';
import {
  type LoadUser,
  type MessageShape,
  type Receipt,
  Routes,
  SendTemplate,
  ackRequest,
  codeOk,
  receiveRequest,
  receivedMessageOf,
  statusCodeOf,
} from './requests.js';

interface Target {
  readonly port: number;
  /** Of the server, or of all its processes, to read their CPU. */
  readonly pid: number | readonly number[];
  readonly connections: number;
  readonly inFlight: number;
}

export interface SendJob extends Target {
  readonly kind: 'send';
  readonly topic: string;
  readonly bodyBytes: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Answers are not messages of the protocol: an echo. */
  readonly echo?: boolean;
  /** Whose the clients are; left out: nobody's. */
  readonly user?: LoadUser;
  /** Each sender waits so long after an answer; left out: not at all, which is as fast as the machine can. */
  readonly paceMs?: number;
}

/** Sends exactly so many, and measures them all. */
export interface FillJob extends Target, MessageShape {
  readonly kind: 'fill';
  readonly messages: number;
}

export interface DrainJob extends Target {
  readonly kind: 'drain';
  readonly topic: string;
  readonly group: string;
  /** In the topic: it ends when all have been acknowledged. */
  readonly messages: number;
  readonly max: number;
  /** Of so many message groups, what is received of the first is never acknowledged. */
  readonly stuckOf?: number;
}

export interface LongPollJob {
  readonly kind: 'long-poll';
  readonly port: number;
  readonly topic: string;
  readonly group: string;
  readonly messages: number;
  readonly everyMs: number;
  /** Meanwhile these groups look for what is not there. */
  readonly search?: { readonly topic: string; readonly groups: readonly string[]; readonly sql: string };
}

export type LoadJob = SendJob | FillJob | DrainJob | LongPollJob;

export interface LoadFigures {
  /** Acknowledged sends, or messages received and acknowledged. */
  readonly messages: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
  /** By the disk, for everybody on it; NaN where it can't be told. */
  readonly writtenBytesPerMessage: number;
  readonly msMedian: number;
  readonly ms99: number;
  /** Answers with another code than OK, or none. */
  readonly failures: number;
  readonly duplicates: number;
  /** Cores that were busy with neither server nor load: look at it before believing a rate. */
  readonly otherCores: number;
}

/** What was used between two moments. */
class Meter {
  private startMs = 0;
  private cpu = 0;
  private own = 0;
  private machine = 0;
  private written = 0;

  private readonly pids: readonly number[];

  constructor(pid: number | readonly number[]) {
    this.pids = typeof pid === 'number' ? [pid] : pid;
  }

  start(): void {
    this.cpu = this.serverCpu();
    this.own = ownCpuSeconds();
    this.machine = machineCpuSeconds();
    this.written = diskWrittenBytes(tmpdir());
    this.startMs = performance.now();
  }

  stop(messages: number, times: Histogram, failures: number, duplicates: number): LoadFigures {
    const seconds = (performance.now() - this.startMs) / 1000;
    const cpu = this.serverCpu() - this.cpu;
    const others = machineCpuSeconds() - this.machine - cpu - (ownCpuSeconds() - this.own);
    return {
      messages,
      seconds,
      perSecond: messages / seconds,
      cpuSecondsPerMillion: (cpu / messages) * 1e6,
      writtenBytesPerMessage: (diskWrittenBytes(tmpdir()) - this.written) / messages,
      msMedian: times.at(0.5),
      ms99: times.at(0.99),
      failures,
      duplicates,
      otherCores: Math.max(0, others / seconds),
    };
  }

  private serverCpu(): number {
    return this.pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  }
}

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const clientIdOf = (kind: string, index: number): string => `bench-${kind}@${process.pid}@${index}@0`;

export function runLoad(job: LoadJob): Promise<LoadFigures> {
  switch (job.kind) {
    case 'send':
      return sendFor(job);
    case 'fill':
      return fill(job);
    case 'drain':
      return drain(job);
    case 'long-poll':
      return longPoll(job);
  }
}

/** One connection's senders: each sends its next message when the last one was answered. */
class Sender {
  acknowledged = 0;
  failures = 0;
  private number = 0;
  private readonly template: SendTemplate;
  private readonly idle: (() => void)[] = [];
  private open = 0;

  constructor(
    private readonly client: H2Client,
    private readonly routes: Routes,
    job: SendJob | FillJob,
    index: number,
    private readonly times: Histogram,
    private readonly echo: boolean,
    /** Asked before each message. */
    private readonly more: () => boolean,
    private readonly paceMs = 0,
  ) {
    // Ids differ from run to run.
    this.template = new SendTemplate(job, process.pid * 64 + index);
  }

  start(inFlight: number): void {
    for (let i = 0; i < inFlight; i += 1) this.next();
  }

  async finished(): Promise<void> {
    if (this.open > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  private next(): void {
    if (!this.more()) {
      if (this.open === 0) for (const act of this.idle) act();
      return;
    }
    this.open += 1;
    const startMs = performance.now();
    let good = false;
    this.number += 1;
    this.client.call(this.routes.send, this.template.next(this.number), {
      message: (bytes) => (good = this.echo || statusCodeOf(bytes) === codeOk),
      end: (ok) => {
        this.open -= 1;
        if (ok && good) {
          this.acknowledged += 1;
          this.times.add(performance.now() - startMs);
          if (this.paceMs > 0) setTimeout(() => this.next(), this.paceMs);
          else this.next();
          return;
        }
        this.failures += 1;
        // A server that refuses is given time, not more of the same.
        setTimeout(() => this.next(), 10);
      },
    });
  }
}

async function openAll(port: number, connections: number): Promise<H2Client[]> {
  return Promise.all(Array.from({ length: connections }, () => H2Client.open(port)));
}

async function sendFor(job: SendJob): Promise<LoadFigures> {
  const times = new Histogram();
  let going = true;
  const clients = await openAll(job.port, job.connections);
  const senders = clients.map(
    (client, i) =>
      new Sender(
        client,
        new Routes(clientIdOf('send', i), job.user),
        job,
        i,
        times,
        job.echo === true,
        () => going,
        job.paceMs,
      ),
  );
  for (const sender of senders) sender.start(job.inFlight);
  await sleep(job.warmUpSeconds * 1000);
  const meter = new Meter(job.pid);
  times.clear();
  const before = sum(senders, ({ acknowledged }) => acknowledged);
  meter.start();
  await sleep(job.seconds * 1000);
  const messages = sum(senders, ({ acknowledged }) => acknowledged) - before;
  const figures = meter.stop(
    messages,
    times,
    sum(senders, ({ failures }) => failures),
    0,
  );
  going = false;
  await Promise.all(senders.map((sender) => sender.finished()));
  for (const client of clients) client.close();
  return figures;
}

async function fill(job: FillJob): Promise<LoadFigures> {
  const times = new Histogram();
  let left = job.messages;
  const more = (): boolean => left-- > 0;
  const clients = await openAll(job.port, job.connections);
  const senders = clients.map(
    (client, i) => new Sender(client, new Routes(clientIdOf('fill', i)), job, i, times, false, more),
  );
  const meter = new Meter(job.pid);
  meter.start();
  for (const sender of senders) sender.start(job.inFlight);
  await Promise.all(senders.map((sender) => sender.finished()));
  const failures = sum(senders, (sender) => sender.failures);
  const figures = meter.stop(
    sum(senders, ({ acknowledged }) => acknowledged),
    times,
    failures,
    0,
  );
  for (const client of clients) client.close();
  return figures;
}

const invisibleMs = 60_000;
const stallMs = 20_000;

async function drain(job: DrainJob): Promise<LoadFigures> {
  const times = new Histogram();
  const seen = new Set<string>();
  let acknowledged = 0;
  let duplicates = 0;
  let failures = 0;
  const clients = await openAll(job.port, job.connections);
  const meter = new Meter(job.pid);
  const codes = new Map<number, number>();
  await new Promise<void>((resolve, reject) => {
    let over = false;
    let seenAt = 0;
    // Nothing waits for ever: a drain that stands still says what it was answered.
    const guard = setInterval(() => {
      if (acknowledged === seenAt) {
        const said = [...codes].map(([code, count]) => `${count} × ${code}`).join(', ');
        reject(new Error(`stands still at ${acknowledged} of ${job.messages}; ${failures} failures, answers: ${said}`));
      }
      seenAt = acknowledged;
    }, stallMs).unref();
    const count = (code: number): number => {
      codes.set(code, (codes.get(code) ?? 0) + 1);
      return code;
    };
    meter.start();
    clients.forEach((client, index) => {
      const routes = new Routes(clientIdOf('drain', index));
      const request = receiveRequest({ ...job, pollMs: 5_000, invisibleMs }, index);
      const poll = (): void => {
        if (over) return;
        const startMs = performance.now();
        const entries: Receipt[] = [];
        let received = 0;
        client.call(routes.receive, request, {
          message: (item) => {
            const found = receivedMessageOf(item);
            if (!found) {
              const code = statusCodeOf(item);
              if (code > 0) count(code);
              return;
            }
            if (seen.has(found.messageId)) duplicates += 1;
            seen.add(found.messageId);
            received += 1;
            if (job.stuckOf !== undefined && found.number % job.stuckOf === 0) return;
            entries.push({ messageId: found.messageId, receiptHandle: found.receiptHandle });
          },
          end: (ok) => {
            if (!ok) failures += 1;
            times.add(performance.now() - startMs);
            // A server that refuses is given time, not more of the same.
            if (entries.length === 0) setTimeout(poll, ok || received > 0 ? 0 : 10);
            else acknowledge(entries);
          },
        });
      };
      const acknowledge = (entries: Receipt[]): void => {
        let good = false;
        client.call(routes.ack, ackRequest(job.topic, job.group, entries), {
          message: (answer) => (good = count(statusCodeOf(answer)) === codeOk),
          end: (ok) => {
            if (ok && good) acknowledged += entries.length;
            else failures += 1;
            if (acknowledged >= job.messages && !over) {
              over = true;
              clearInterval(guard);
              resolve();
            }
            poll();
          },
        });
      };
      for (let i = 0; i < job.inFlight; i += 1) poll();
    });
  });
  const figures = meter.stop(acknowledged, times, failures, duplicates);
  for (const client of clients) client.close();
  return figures;
}

/** From the call of a send to the message's arrival at a poll that waits, one message at a time. */
async function longPoll(job: LongPollJob): Promise<LoadFigures> {
  const times = new Histogram();
  const [consumer, producer] = await openAll(job.port, 2);
  if (!consumer || !producer) throw new Error('two connections were opened');
  const routes = new Routes(clientIdOf('poll', 0));
  const sends = new Routes(clientIdOf('poll-send', 0)).send;
  const request = receiveRequest({ ...job, max: 32, pollMs: 20_000, invisibleMs }, 0);
  const sentMs: number[] = [];
  let received = 0;
  let failures = 0;
  let over = false;
  let enough: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (enough = resolve));
  const poll = (): void => {
    if (over) return;
    const entries: Receipt[] = [];
    consumer.call(routes.receive, request, {
      message: (item) => {
        const found = receivedMessageOf(item);
        if (!found) return;
        entries.push(found);
        const startMs = sentMs[found.number];
        if (startMs !== undefined) times.add(performance.now() - startMs);
      },
      end: (ok) => {
        if (!ok) failures += 1;
        received += entries.length;
        if (entries.length > 0) consumer.call(routes.ack, ackRequest(job.topic, job.group, entries), nothing);
        if (received >= job.messages) enough();
        poll();
      },
    });
  };
  poll();
  const searches = await openAll(job.port, job.search?.groups.length ?? 0);
  searches.forEach((connection, i) => {
    const group = job.search?.groups[i] ?? '';
    const topic = job.search?.topic ?? '';
    const wanted = receiveRequest({ topic, group, max: 32, pollMs: 20_000, invisibleMs, sql: job.search?.sql }, 0);
    const receive = new Routes(clientIdOf(`search-${group}`, i)).receive;
    const search = (): void => {
      if (!over) connection.call(receive, wanted, { ...nothing, end: search });
    };
    search();
  });
  await sleep(500);
  const template = new SendTemplate({ topic: job.topic, bodyBytes: 1024 }, process.pid);
  const startMs = performance.now();
  const machine = machineCpuSeconds();
  const own = ownCpuSeconds();
  for (let i = 0; i < job.messages; i += 1) {
    sentMs[i] = performance.now();
    producer.call(sends, template.next(i), nothing);
    await sleep(job.everyMs);
  }
  await done;
  over = true;
  const seconds = (performance.now() - startMs) / 1000;
  for (const connection of searches) connection.close();
  consumer.close();
  producer.close();
  return {
    messages: received,
    seconds,
    perSecond: received / seconds,
    cpuSecondsPerMillion: 0,
    writtenBytesPerMessage: 0,
    msMedian: times.at(0.5),
    ms99: times.at(0.99),
    failures,
    duplicates: 0,
    otherCores: Math.max(0, (machineCpuSeconds() - machine - ownCpuSeconds() + own) / seconds),
  };
}

const nothing = { message: () => undefined, end: () => undefined };

function sum<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((total, item) => total + of(item), 0);
}
