/** Calls with wrong credentials, so many a second: half of them with a name that there is. Never with a right one. */
import { H2Client, type Route } from '../load/h2-client.js';
import { codeOk, queryRoute, Routes, statusCodeOf } from '../load/requests.js';

export interface GuessesJob {
  readonly port: number;
  readonly topic: string;
  /** A user that there is. */
  readonly user: string;
  readonly connections: number;
  readonly perSecond: number;
  /** Before it begins. */
  readonly waitSeconds: number;
  readonly seconds: number;
}

export interface GuessesFigures {
  readonly perSecond: number;
  /** Calls that were answered, and not refused. */
  readonly let: number;
  readonly unanswered: number;
}

const tickMs = 5;
/** Waiting for an answer at once: more would measure how long the queue is that the load itself makes. */
const outstandingMax = 256;

export async function guess(job: GuessesJob): Promise<GuessesFigures> {
  const { port, topic, user, connections, perSecond, waitSeconds, seconds } = job;
  await new Promise((resolve) => setTimeout(resolve, waitSeconds * 1000));
  const clients = await Promise.all(Array.from({ length: connections }, () => H2Client.open(port)));
  let made = 0;
  let answered = 0;
  let through = 0;
  const routes = clients.map((_, i): Route => {
    const { queryRoute: route } = new Routes(`guess@${process.pid}@${i}@0`);
    return { ...route, authorizationAt: () => wrong(i % 2 === 0 ? user : `who-${i}`, made) };
  });
  const request = queryRoute(topic);
  const startMs = performance.now();
  while (performance.now() - startMs < seconds * 1000) {
    const due = ((performance.now() - startMs) / 1000) * perSecond;
    // What is not answered is not piled up: a server that falls behind shows by the rate.
    for (; made < due && made - answered < outstandingMax; made += 1) {
      const at = made % clients.length;
      let good = false;
      clients[at]?.call(routes[at] as Route, request, {
        message: (bytes) => (good = statusCodeOf(bytes) === codeOk),
        end: () => {
          answered += 1;
          if (good) through += 1;
        },
      });
    }
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
  const figures = { perSecond: answered / seconds, let: through, unanswered: made - answered };
  for (const client of clients) client.close();
  return figures;
}

/** Each another one: nothing of it has been seen before. */
function wrong(user: string, number: number): string {
  const signature = number.toString(16).padStart(40, '0');
  return `MQv2-HMAC-SHA1 Credential=${user.padEnd(16, '-').slice(0, 16)}, SignedHeaders=x-mq-date-time, Signature=${signature}`;
}
