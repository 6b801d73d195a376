import { type Bench, type Figure, best, rounds } from '../bench.js';
import type { LoadFigures } from '../load/load.js';
import { startEcho } from '../support/echo-server.js';

const connections = 8;
const inFlight = 32;

/** Sends that are acknowledged after the sync, beside an empty grpc-js service that answers with what it got. */
export const frontDoor: Bench = {
  name: 'front-door',
  about: 'sends of 1 KiB acknowledged after fdatasync, against an empty grpc-js echo under the same load',
  async run(context): Promise<readonly Figure[]> {
    const { quick, load, say } = context;
    const job = {
      kind: 'send',
      topic: 'bench-send',
      bodyBytes: 1_024,
      connections,
      inFlight,
      warmUpSeconds: quick ? 1 : 4,
      seconds: quick ? 1 : 6,
    } as const;
    const server = await context.standalone();
    const echo = await startEcho(process.argv[1] ?? '');
    try {
      const echoes: LoadFigures[] = [];
      // In turn, so that both meet the same neighbours.
      const sends = await rounds(context.rounds, async () => {
        say('echo');
        echoes.push(await load({ ...job, port: echo.port, pid: echo.pid, echo: true }));
        say('sends');
        return load({ ...job, port: server.port, pid: server.pid });
      });
      const ours = best(sends);
      const reference = best(echoes);
      const written = Math.min(...sends.map((r) => r.writtenBytesPerMessage));
      return [
        { what: 'sends', value: ours.perSecond, unit: 'messages/s' },
        { what: 'sends', value: ours.cpuSecondsPerMillion, unit: 'CPU s/million' },
        { what: 'sends, median', value: ours.msMedian, unit: 'ms' },
        { what: 'sends, p99', value: ours.ms99, unit: 'ms' },
        ...(Number.isNaN(written)
          ? []
          : [{ what: 'written by the disk meanwhile', value: written, unit: 'bytes/message' }]),
        { what: 'empty grpc-js echo', value: reference.perSecond, unit: 'calls/s' },
        { what: 'empty grpc-js echo', value: reference.cpuSecondsPerMillion, unit: 'CPU s/million' },
        { what: 'sends to echo', value: (100 * ours.perSecond) / reference.perSecond, unit: '%', atLeast: 70 },
      ];
    } finally {
      await echo.stop();
    }
  },
};
