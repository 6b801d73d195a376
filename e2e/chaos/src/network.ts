/**
 * The network between the processes of a cluster, with faults between any two of them. Each process listens on a port of
 * its own and tells others another one, where a relay listens; so nothing here needs root, namespaces or a kernel module.
 * Who called is found by the port it called from (`/proc/net/tcp` and the caller's open files), so a fault may lie between
 * one pair, in one direction.
 *
 *   caller ──> door of the callee ──> callee        flow "caller>callee"
 *          <──                    <──               flow "callee>caller"
 *
 * A direction that is cut holds back bytes as well as ends of connections, as a cable that is out does: once it is back
 * they arrive, where both ends are still waiting for them. A door is closed while nobody listens behind it, so that a
 * process that is gone refuses connections, as without a relay.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { freePorts } from '../../../tools/cluster/ports.ts';

const host = '127.0.0.1';
/** How often it is looked whether somebody listens behind a closed door. */
const knockMs = 20;
/** What one direction of one connection may hold in memory. */
const heldBytesMax = 8 * 1024 * 1024;

/** What is wrong with one direction between two processes. Several faults may lie over each other. */
interface Rule {
  cuts: number;
  delayMs: number;
  /** Told when it changes. */
  readonly flows: Set<Flow>;
}

export class Network {
  private readonly rules = new Map<string, Rule>();
  private readonly doors = new Map<string, Door>();
  private callers: () => Iterable<readonly [number, string]> = () => [];

  /** @param callers the process id and name of each process there is now */
  know(callers: () => Iterable<readonly [number, string]>): void {
    this.callers = callers;
  }

  /** Makes a door before a process that listens on `port`. @returns the port that others are to connect to */
  async door(name: string, port: number): Promise<number> {
    const [front = 0] = await freePorts(1);
    this.doors.set(`${name}:${port}`, new Door(name, front, port, this));
    return front;
  }

  /** What `from` says to `to` is not heard. @returns undoes it */
  cutOneWay(from: string, to: string): () => void {
    const rule = this.rule(from, to);
    rule.cuts += 1;
    return onlyOnce(() => {
      rule.cuts -= 1;
      for (const flow of rule.flows) flow.pump();
    });
  }

  cut(one: string, other: string): () => void {
    const undo = [this.cutOneWay(one, other), this.cutOneWay(other, one)];
    return () => undo.forEach((each) => each());
  }

  /** Every pair of one of these and one of those. */
  cutAll(these: readonly string[], those: readonly string[]): () => void {
    const undo = these.flatMap((one) => those.map((other) => this.cut(one, other)));
    return () => undo.forEach((each) => each());
  }

  /** What either says to the other takes so long. */
  slow(one: string, other: string, delayMs: number): () => void {
    const rules = [this.rule(one, other), this.rule(other, one)];
    for (const rule of rules) rule.delayMs += delayMs;
    return onlyOnce(() => rules.forEach((rule) => (rule.delayMs -= delayMs)));
  }

  /** Connections to `to` are refused, and those that `callers` have are reset, while it lives: a firewall that rejects. */
  refuse(to: string, callers: readonly string[]): () => void {
    const doors = [...this.doors.values()].filter(({ name }) => name === to);
    for (const door of doors) door.refuse(callers);
    return onlyOnce(() => doors.forEach((door) => door.admit()));
  }

  /** Whether somebody listens behind all doors of this name, and may be called. */
  isOpen(name: string): boolean {
    return [...this.doors.values()].every((door) => door.name !== name || door.isOpen);
  }

  end(): void {
    for (const door of this.doors.values()) door.end();
  }

  rule(from: string, to: string): Rule {
    const key = `${from}>${to}`;
    const known = this.rules.get(key) ?? { cuts: 0, delayMs: 0, flows: new Set() };
    this.rules.set(key, known);
    return known;
  }

  /** The process at the other end of a connection to one of our doors; `outside` where it is none of the cluster. */
  callerOf(callerPort: number, doorPort: number): string {
    const inode = inodeOf(callerPort, doorPort);
    if (inode === undefined) return 'outside';
    const wanted = `socket:[${inode}]`;
    for (const [pid, name] of this.callers()) if (holds(pid, wanted)) return name;
    return 'outside';
  }
}

/** Before one port of one process. */
class Door {
  private server: Server | undefined;
  private readonly calls = new Set<{ readonly caller: string; readonly reset: () => void }>();
  private closedByFault = 0;
  private timer: NodeJS.Timeout | undefined;
  private ended = false;

  constructor(
    readonly name: string,
    private readonly front: number,
    private readonly behind: number,
    private readonly network: Network,
  ) {
    this.waitForSomebody();
  }

  get isOpen(): boolean {
    return this.server !== undefined;
  }

  refuse(callers: readonly string[]): void {
    this.closedByFault += 1;
    this.close();
    for (const call of [...this.calls]) if (callers.includes(call.caller)) call.reset();
  }

  admit(): void {
    this.closedByFault -= 1;
    this.waitForSomebody();
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    this.close();
    for (const call of [...this.calls]) call.reset();
  }

  /** Closes the door where nobody listens behind it. */
  async look(): Promise<void> {
    if (this.server === undefined || (await listens(this.behind))) return;
    this.close();
    this.waitForSomebody();
  }

  private close(): void {
    this.server?.close();
    this.server = undefined;
  }

  private waitForSomebody(): void {
    clearTimeout(this.timer);
    const look = async (): Promise<void> => {
      if (this.ended || this.closedByFault > 0 || this.server !== undefined) return;
      if (await listens(this.behind)) await this.open();
      else this.waitForSomebody();
    };
    this.timer = setTimeout(() => void look(), knockMs);
    this.timer.unref();
  }

  private async open(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (caller) => this.serve(caller));
    server.listen(this.front, host);
    try {
      await once(server, 'listening');
    } catch {
      return this.waitForSomebody(); // Its port is still taken: another look.
    }
    if (this.ended || this.closedByFault > 0 || this.server !== undefined) server.close();
    else this.server = server;
  }

  private serve(caller: Socket): void {
    const name = this.network.callerOf(caller.remotePort ?? 0, this.front);
    const callee = connect({ port: this.behind, host, allowHalfOpen: true, noDelay: true });
    const there = new Flow(caller, callee, this.network.rule(name, this.name));
    const back = new Flow(callee, caller, this.network.rule(this.name, name), () => this.look());
    const reset = (): void => {
      caller.resetAndDestroy();
      callee.resetAndDestroy();
    };
    const call = { caller: name, reset };
    this.calls.add(call);
    const closed = (): void => {
      if (!caller.closed || !callee.closed) return;
      this.calls.delete(call);
      there.forget();
      back.forget();
    };
    for (const socket of [caller, callee]) socket.once('close', closed);
  }
}

/** The bytes of one connection in one direction. */
class Flow {
  private readonly held: { readonly dueMs: number; readonly bytes: Buffer | 'end' | 'reset' }[] = [];
  private heldBytes = 0;
  private over = false;
  private blocked = false;
  private timer: NodeJS.Timeout | undefined;

  /** @param beforeEnd done before the end of the connection is passed on */
  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    private readonly rule: Rule,
    private readonly beforeEnd: () => Promise<void> = () => Promise.resolve(),
  ) {
    rule.flows.add(this);
    from.on('data', (bytes) => this.push(bytes));
    from.once('end', () => this.push('end'));
    from.once('error', () => this.push('reset'));
    from.once('close', () => this.push('reset'));
    to.on('drain', () => {
      this.blocked = false;
      this.pump();
    });
  }

  /** Passes on what may pass now. */
  pump(): void {
    clearTimeout(this.timer);
    while (!this.blocked && this.rule.cuts === 0) {
      const [next] = this.held;
      if (next === undefined) return;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.timer = setTimeout(() => this.pump(), waitMs);
        this.timer.unref();
        return;
      }
      this.held.shift();
      this.pass(next.bytes);
    }
  }

  forget(): void {
    clearTimeout(this.timer);
    this.rule.flows.delete(this);
  }

  private push(bytes: Buffer | 'end' | 'reset'): void {
    if (this.over) return;
    if (typeof bytes === 'string') this.over = bytes === 'reset' || this.from.destroyed;
    else this.heldBytes += bytes.byteLength;
    this.held.push({ dueMs: performance.now() + this.rule.delayMs, bytes });
    if (this.heldBytes > heldBytesMax) this.from.pause();
    this.pump();
  }

  private pass(bytes: Buffer | 'end' | 'reset'): void {
    if (typeof bytes !== 'string') {
      this.heldBytes -= bytes.byteLength;
      if (this.heldBytes <= heldBytesMax && this.from.isPaused()) this.from.resume();
      if (this.to.writable) this.blocked = !this.to.write(bytes);
      return;
    }
    const end = (): void => {
      if (bytes === 'end') this.to.end();
      else if (this.to.connecting || this.to.writable || !this.from.readableEnded) this.to.resetAndDestroy();
      else this.to.destroy();
    };
    void this.beforeEnd().then(end, end);
  }
}

async function listens(port: number): Promise<boolean> {
  const socket = connect({ port, host });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function inodeOf(callerPort: number, doorPort: number): string | undefined {
  const [local, remote] = [callerPort, doorPort].map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`);
  for (const line of tableOf('/proc/net/tcp').split('\n')) {
    const [, from, to, , , , , , , inode] = line.trim().split(/\s+/);
    if (from?.endsWith(local as string) && to?.endsWith(remote as string)) return inode;
  }
  return undefined;
}

function tableOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function holds(pid: number, wanted: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === wanted);
  } catch {
    return false; // It has ended.
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function onlyOnce(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}
