/** A user far beyond its quota: sends and receives as fast as they are answered, and connections that come and go. */
import { H2Client } from '../load/h2-client.js';
import {
  codeOk,
  queryRoute,
  receiveRequest,
  Routes,
  SendTemplate,
  statusCodeOf,
  type LoadUser,
} from '../load/requests.js';

export interface NoiseJob {
  readonly port: number;
  readonly topic: string;
  readonly group: string;
  readonly user: LoadUser;
  /** Sends and receives tried a second, together. */
  readonly perSecond: number;
  readonly connections: number;
  /** Opened a second, each for one call. */
  readonly comers: number;
  /** Before it begins. */
  readonly waitSeconds: number;
  readonly seconds: number;
}

export interface NoiseFigures {
  /** Sends and receives that were answered. */
  readonly perSecond: number;
  /** Of those, what was let through, a second. */
  readonly throughPerSecond: number;
  readonly comersPerSecond: number;
}

const tickMs = 1;
/** Waiting for an answer at once: more would measure how long the queue is that the load itself makes. */
const outstandingMax = 512;

export async function makeNoise(job: NoiseJob): Promise<NoiseFigures> {
  const { port, topic, group, user, perSecond, connections, comers, waitSeconds, seconds } = job;
  await new Promise((resolve) => setTimeout(resolve, waitSeconds * 1000));
  const clients = await Promise.all(Array.from({ length: connections }, () => H2Client.open(port)));
  const routes = clients.map((_, i) => new Routes(`noise@${process.pid}@${i}@0`, user));
  const template = new SendTemplate({ topic, bodyBytes: 1_024 }, process.pid);
  const poll = receiveRequest({ topic, group, max: 1, pollMs: 100, invisibleMs: 10_000 }, 0);
  let made = 0;
  let answered = 0;
  let through = 0;
  let came = 0;
  let coming = 0;
  const startMs = performance.now();
  const sinceS = (): number => (performance.now() - startMs) / 1000;
  const comeAndGo = async (): Promise<void> => {
    coming += 1;
    const client = await H2Client.open(port);
    await client.unary(new Routes(`comer@${process.pid}@${came + coming}@0`, user).queryRoute, queryRoute(topic));
    client.close();
  };
  while (sinceS() < seconds) {
    // What is not answered is not piled up: a server that falls behind shows by the rate.
    for (; made < sinceS() * perSecond && made - answered < outstandingMax; made += 1) {
      const at = made % clients.length;
      const isSend = made % 2 === 0;
      let good = false;
      const { send, receive } = routes[at] as Routes;
      clients[at]?.call(isSend ? send : receive, isSend ? template.next(made) : poll, {
        message: (bytes) => (good ||= statusCodeOf(bytes) === codeOk),
        end: () => {
          answered += 1;
          if (good) through += 1;
        },
      });
    }
    for (; came + coming < sinceS() * comers && coming < comers;) {
      void comeAndGo()
        .catch(() => undefined)
        .finally(() => {
          coming -= 1;
          came += 1;
        });
    }
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
  const figures = {
    perSecond: answered / seconds,
    throughPerSecond: through / seconds,
    comersPerSecond: came / seconds,
  };
  for (const client of clients) client.close();
  return figures;
}
