/** Consumers as nobody wishes for them. */
import { type Fault, rest } from './fault.js';

export const consumerFaults = {
  'bad-consumers': {
    words:
      'for 15 s consumers come and go, fail every message, are slow, or never acknowledge, in groups of their own on the ' +
      'same topics',
    keeps: ['every send', 'the leader'],
    strike: ({ clients }) => {
      const atMs = performance.now();
      const undo = async (): Promise<void> => {
        const endMs = atMs + 15_000;
        const poison = await clients.push('poisoned', 'plain', () => false);
        const deaf = await clients.simple('deaf', 'plain');
        const slow = await clients.simple('slow', 'plain');
        const never = async (): Promise<void> => {
          while (performance.now() < endMs) await deaf.receive(32, 10_000).catch(() => rest(100));
        };
        const late = async (): Promise<void> => {
          while (performance.now() < endMs) {
            const messages = await slow.receive(1, 10_000).catch(() => []);
            await rest(1_000);
            for (const message of messages) await slow.ack(message).catch(() => undefined);
          }
        };
        const comers = async (): Promise<void> => {
          while (performance.now() < endMs) {
            const comer = await clients.simple('comers', 'plain');
            await comer.receive(1, 10_000).catch(() => undefined);
            await comer.shutdown().catch(() => undefined);
          }
        };
        await Promise.all([never(), late(), comers()]);
        await poison.shutdown();
      };
      return Promise.resolve({ atMs, undo });
    },
  },
} satisfies Record<string, Fault>;
