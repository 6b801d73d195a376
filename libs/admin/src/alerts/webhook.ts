import { MqError, type Clock } from '@cometmq/shared';

import type { AlertEvent } from './alert-book.js';
import type { Notify } from './alert-watch.js';

const answerMsMax = 10_000;

/** Posts alerts as JSON to an address of the settings: never to one that came from a user or a message. */
export function webhook(given: string, clock: Clock, cluster: () => string): Notify {
  const { url, login } = partsOf(given);
  return async (events: readonly AlertEvent[]): Promise<void> => {
    const abort = new AbortController();
    const timer = clock.after(answerMsMax, () => abort.abort());
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...login },
        body: JSON.stringify({ cluster: cluster(), alerts: events }),
        redirect: 'error',
        signal: abort.signal,
      });
      await response.body?.cancel(); // What it says is of no interest, however much it is.
      if (!response.ok) throw new MqError('UNAVAILABLE', `the webhook answered ${response.status}`);
    } catch (caught) {
      if (caught instanceof MqError) throw caught;
      throw new MqError('UNAVAILABLE', 'the webhook can not be reached', { cause: caught });
    } finally {
      timer.cancel();
    }
  };
}

/** `fetch` takes no URL with a login in it, and says so with all of it. */
function partsOf(given: string): { readonly url: string; readonly login: { readonly authorization?: string } } {
  if (!URL.canParse(given)) return { url: given, login: {} };
  const url = new URL(given);
  const { username, password } = url;
  if (username === '' && password === '') return { url: given, login: {} };
  url.username = '';
  url.password = '';
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url: url.href, login: { authorization: `Basic ${Buffer.from(pair, 'utf8').toString('base64')}` } };
}
