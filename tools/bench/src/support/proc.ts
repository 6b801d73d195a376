/**
 * What a process and the machine have used, from /proc. CPU time is the figure to trust: on a machine that does other
 * things too, rates say as much of those as of us.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';

const ticksPerSecond = 100; // USER_HZ, the same on every Linux.
const MiB = 1024 * 1024;

/** Seconds of CPU of all threads, user and kernel, since the process began. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Bytes that a process has read by calls, from disks and sockets, whether or not they were in memory already. */
export function readBytesOf(pid: number): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1] ?? NaN);
}

export interface Memory {
  readonly rssMiB: number;
  readonly peakRssMiB: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const kiB = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { rssMiB: (kiB('VmRSS') * 1024) / MiB, peakRssMiB: (kiB('VmHWM') * 1024) / MiB };
}

/**
 * Bytes that the disk under `path` has written, as it counts them itself, for whomever. What the kernel counts for a
 * process (`write_bytes`) is of no use: it takes a whole folio, up to a few MiB, for each write into it.
 */
export function diskWrittenBytes(path: string): number {
  const { dev } = statSync(path);
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const stat = `/sys/dev/block/${major}:${minor}/stat`;
  if (!existsSync(stat)) return Number.NaN; // No block device of its own: memory, or an overlay.
  return Number(readFileSync(stat, 'latin1').trim().split(/\s+/)[6]) * 512;
}

/** Seconds of CPU of the whole machine. */
export function machineCpuSeconds(): number {
  const first = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0] = first.trim().split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + soft) / ticksPerSecond;
}
