/**
 * System calls as strace recorded them, as the beginnings and ends of operations, in their order: what began may have
 * happened in part, what ended has happened.
 *
 *   12 pwrite64(17, "\x01\x02"..., 4096, 0 <unfinished ...>
 *   13 write(1, "\x61", 1) = 1
 *   12 <... pwrite64 resumed>) = 4096
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';

export type Operation =
  | { readonly kind: 'open'; readonly path: string; readonly flags: string }
  | { readonly kind: 'close'; readonly fd: number }
  /** `at` undefined: where the file's own position is. */
  | { readonly kind: 'write'; readonly fd: number; readonly bytes: Buffer; readonly at: number | undefined }
  | { readonly kind: 'sync'; readonly fd: number }
  | { readonly kind: 'truncate'; readonly fd: number; readonly size: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'make folder'; readonly path: string };

export interface TraceEvent {
  readonly what: 'begins' | 'ends';
  readonly operation: Operation;
  /** Of an end: below 0 it failed. */
  readonly result: number;
}

const calls =
  'open,openat,creat,close,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,fallocate,' +
  'truncate,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,dup,dup2,dup3,msync';
/** Longer texts are cut by strace, which the reader refuses. */
const textBytesMax = 1_000_000;

export interface Recording {
  readonly events: readonly TraceEvent[];
  readonly said: string;
}

/** Runs the program under strace to its end. @throws Error where it failed */
export function record(strace: string, traceFile: string, command: string, args: readonly string[]): Recording {
  const options = ['-f', '-qq', '-xx', '-s', String(textBytesMax), '-e', `trace=${calls}`, '-e', 'signal=none'];
  const { status, stdout, stderr, error } = spawnSync(strace, [...options, '-o', traceFile, '--', command, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    // Writes that go through a ring are no system calls of their own.
    env: { PATH: process.env['PATH'], UV_USE_IO_URING: '0' },
  });
  try {
    if (status !== 0) throw new Error(`the recorded broker ended with ${String(status)}: ${error?.message ?? stderr}`);
    return { events: parse(readFileSync(traceFile, 'latin1')), said: stdout };
  } finally {
    rmSync(traceFile, { force: true });
  }
}

/** Whether this machine lets one process watch another. */
export function mayTrace(strace: string): boolean {
  return spawnSync(strace, ['-f', '-o', '/dev/null', process.execPath, '-e', ''], { timeout: 20_000 }).status === 0;
}

export function parse(text: string): TraceEvent[] {
  const events: TraceEvent[] = [];
  const end = (operation: Operation, line: string): void => {
    // The process ended within the call.
    if (!line.endsWith('= ?')) events.push({ what: 'ends', operation, result: resultOf(line) });
  };
  const under = new Map<string, { readonly text: string; readonly operation: Operation | undefined }>();
  for (const line of text.split('\n')) {
    const found = /^(\d+)\s+(.*)$/.exec(line);
    if (!found) continue;
    const [, task = '', rest = ''] = found;
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    if (resumed) {
      const begun = under.get(task);
      under.delete(task);
      const operation = begun?.operation ?? readCall(`${begun?.text ?? ''}${resumed[2] ?? ''}`);
      if (operation) end(operation, rest);
      continue;
    }
    const unfinished = rest.endsWith('<unfinished ...>');
    const call = unfinished ? rest.slice(0, -'<unfinished ...>'.length) : rest;
    const operation = readCall(call);
    if (unfinished) under.set(task, { text: call, operation });
    if (!operation) continue;
    events.push({ what: 'begins', operation, result: 0 });
    if (!unfinished) end(operation, rest);
  }
  return events;
}

function resultOf(line: string): number {
  const found = /\) += (-?\d+)(?: [A-Z]+ \(.*\))?$/.exec(line);
  if (!found) throw new Error(`no result: ${line.slice(0, 200)}`);
  return Number(found[1]);
}

/** Undefined: it does not change a disk. @throws Error for a call that nobody here has an idea of */
function readCall(line: string): Operation | undefined {
  const name = /^\w+/.exec(line)?.[0] ?? '';
  const args = line.slice(name.length + 1);
  const fd = Number.parseInt(args, 10);
  switch (name) {
    case 'open':
    case 'openat':
      return { kind: 'open', path: pathsOf(args)[0] ?? '', flags: /O_[A-Z_|]+/.exec(args)?.[0] ?? '' };
    case 'close':
      return { kind: 'close', fd };
    case 'write':
      return { kind: 'write', fd, bytes: bytesOf(args), at: undefined };
    case 'writev':
      return { kind: 'write', fd, bytes: bytesOf(args), at: undefined };
    case 'pwrite64':
    case 'pwritev':
      return { kind: 'write', fd, bytes: bytesOf(args), at: lastNumberOf(args) };
    case 'fsync':
    case 'fdatasync':
      return { kind: 'sync', fd };
    case 'ftruncate':
      return { kind: 'truncate', fd, size: lastNumberOf(args) };
    case 'rename':
    case 'renameat':
    case 'renameat2': {
      const [from = '', to = ''] = pathsOf(args);
      return { kind: 'rename', from, to };
    }
    case 'unlink':
    case 'unlinkat':
      return { kind: 'unlink', path: pathsOf(args)[0] ?? '' };
    case 'mkdir':
    case 'mkdirat':
      return { kind: 'make folder', path: pathsOf(args)[0] ?? '' };
    case 'dup':
    case 'dup2':
    case 'dup3':
    case '': // A task's end.
      return undefined;
    default:
      throw new Error(`a system call that the replay does not know: ${line.slice(0, 100)}`);
  }
}

function pathsOf(args: string): string[] {
  return textsOf(args).map((bytes) => bytes.toString());
}

function bytesOf(args: string): Buffer {
  return Buffer.concat(textsOf(args));
}

function textsOf(args: string): Buffer[] {
  const texts: Buffer[] = [];
  for (let from = args.indexOf('"'); from >= 0; from = args.indexOf('"', from)) {
    const to = args.indexOf('"', from + 1);
    if (args.startsWith('...', to + 1)) throw new Error('the record of a system call was cut short');
    texts.push(Buffer.from(args.slice(from + 1, to).replaceAll('\\x', ''), 'hex'));
    from = to + 1;
  }
  return texts;
}

/** The last argument: of a positioned write its position, of a cut its size. */
function lastNumberOf(args: string): number {
  const found = /, (\d+)(?:\)|\s*$)/.exec(args.slice(args.lastIndexOf(', ')));
  if (!found) throw new Error(`no number at the end of ${args.slice(-100)}`);
  return Number(found[1]);
}
