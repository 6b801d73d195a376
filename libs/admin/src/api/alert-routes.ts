import type { FastifyInstance } from 'fastify';
import { MqError } from '@cometmq/shared';

import type { AdminContext } from './context.js';
import { alertParams } from './inspect-schemas.js';
import { answers } from './responses.js';
import { ref } from './schemas.js';
import { whoAsks } from './who-asks.js';

interface SilenceBody {
  readonly key: string;
  readonly forMs: number;
}

/** What is wrong, what was, and who wants to hear no more of it. */
export function alertRoutes(app: FastifyInstance, { alerts, clock, log }: AdminContext): void {
  const tags = ['alerts'];
  const state = () => {
    const nowMs = clock.wallMs();
    if (!alerts) return { watching: false, firing: [], history: [], silences: [] };
    return {
      watching: true,
      firing: alerts.firing(nowMs),
      history: alerts.history.toReversed(),
      silences: alerts.silences(nowMs),
    };
  };

  app.get('/alerts', {
    schema: {
      operationId: 'listAlerts',
      tags,
      summary: 'Alerts that fire, the last 1,000 that fired or were over, newest first, and silences.',
      response: answers({ status: 200, schema: 'Alerts', description: 'The alerts.' }),
    },
    handler: async () => state(),
  });

  app.post<{ Body: SilenceBody }>('/alerts/silences', {
    schema: {
      operationId: 'silenceAlert',
      tags,
      summary: 'Nobody is told of this alert for some time; it is shown all the same.',
      body: ref('AlertSilence'),
      response: answers({ status: 200, schema: 'Alerts', description: 'The alerts.' }, 400),
    },
    handler: async (request) => {
      const { body, ip } = request;
      if (!alerts) throw new MqError('UNSUPPORTED', 'alerts are not looked for: alertEveryMs is 0');
      alerts.silence({ key: body.key, untilMs: clock.wallMs() + body.forMs, who: whoAsks(request) });
      log.info({ peer: ip, key: body.key, forMs: body.forMs }, 'an alert was silenced');
      return state();
    },
  });

  app.delete<{ Params: { readonly key: string } }>('/alerts/silences/:key', {
    schema: {
      operationId: 'unsilenceAlert',
      tags,
      summary: 'Ends a silence.',
      params: alertParams,
      response: answers({ status: 204, description: 'Ended.' }, 404),
    },
    handler: async ({ params, ip }, reply) => {
      if (alerts?.unsilence(params.key) !== true) throw new MqError('NOT_FOUND', 'this alert is not silenced');
      log.info({ peer: ip, key: params.key }, 'the silence of an alert was ended');
      return reply.code(204).send();
    },
  });
}
