import { MqError } from '@cometmq/shared';

import type { AlertEvent } from './alert-book.js';
import type { Notify } from './alert-watch.js';

export interface MailOptions {
  /** smtp://user:password@host:port or smtps://. */
  readonly server: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly cluster: () => string;
}

const answerMsMax = 10_000;
/** Alerts told one by one in a mail. */
const toldMax = 100;

/** Tells of alerts by mail, as plain text: one mail for all that were found in one look. */
export function mail({ server, from, to, cluster }: MailOptions): Notify {
  const times = { connectionTimeout: answerMsMax, greetingTimeout: answerMsMax, socketTimeout: answerMsMax };
  return async (events) => {
    try {
      const { createTransport } = await import('nodemailer'); // Nobody pays for it before there is something to tell.
      const transport = createTransport({ url: server, ...times, disableFileAccess: true, disableUrlAccess: true });
      await transport.sendMail({ from, to: [...to], subject: subjectOf(events, cluster()), text: textOf(events) });
    } catch (caught) {
      // Its words may hold what the server was told.
      const code = typeof caught === 'object' && caught !== null && 'code' in caught ? String(caught.code) : 'failed';
      throw new MqError('UNAVAILABLE', `the mail server did not take the mail: ${code}`, { cause: caught });
    }
  };
}

function subjectOf(events: readonly AlertEvent[], cluster: string): string {
  const [first] = events;
  const fired = events.filter(({ event }) => event === 'fired').length;
  if (events.length === 1 && first) return `[${cluster}] ${first.event === 'fired' ? '' : 'over: '}${first.text}`;
  return `[${cluster}] ${fired} alerts, ${events.length - fired} over`;
}

function textOf(events: readonly AlertEvent[]): string {
  const lines = events.slice(0, toldMax).map(({ event, severity, text, atMs }) => {
    return `${new Date(atMs).toISOString()} ${event === 'fired' ? severity : 'over'}: ${text}`;
  });
  const more = events.length - lines.length;
  return `${lines.join('\n')}\n${more > 0 ? `and ${more} more\n` : ''}`;
}
