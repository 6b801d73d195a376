import { seenOf } from '@cometmq/client';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance } from 'fastify';

import { askAll } from '../reports/ask-all.js';
import { clusterReport, printedSecretHint } from '../reports/cluster-report.js';
import { setReport } from '../reports/set-report.js';
import type { AdminContext } from './context.js';
import { change } from './changes.js';
import { within } from '../within.js';
import { answers } from './responses.js';
import { described, object, text } from './schema-parts.js';
import { nameParams } from './schemas.js';

/** How long a broker may take before the cluster counts as unhealthy. */
const describeMsMax = 2000;

export function clusterRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, log } = context;
  const setNamed = (name: string): string => {
    if (!directory.brokerSet(name)) throw new MqError('NOT_FOUND', `there is no broker set "${name}"`);
    return name;
  };
  /** What members say of sets that nobody is shown to lead: one may lead and have too few to commit anything with. */
  const unledSets = async (): Promise<Map<string, string>> => {
    const unled = [...directory.brokerSets()].filter(({ leader, stage }) => leader === undefined && stage !== 'gone');
    const { peers } = context;
    if (!peers) return new Map();
    const reports = await Promise.all(unled.map((set) => setReport(set, peers, clock, describeMsMax)));
    return new Map(reports.map(({ name, says }) => [name, says]));
  };

  app.get('/health', {
    schema: {
      operationId: 'health',
      tags: ['cluster'],
      summary: 'Liveness of this process. For the brokers see the cluster.',
      response: answers({ status: 200, schema: 'Health', description: 'The process is alive.' }),
    },
    handler: async () => ({ status: 'ok' }),
  });

  app.get('/cluster', {
    schema: {
      operationId: 'describeCluster',
      tags: ['cluster'],
      summary: 'The cluster, its broker sets and whether it is healthy.',
      response: answers({ status: 200, schema: 'Cluster', description: 'Healthy or not.' }),
    },
    handler: async ({ principal }) => {
      const [described, unled] = await Promise.all([
        askAll(directory, clock, describeMsMax, (set) => brokers.describe(set)),
        unledSets(),
      ]);
      const { printedAdmin = '', book } = context.identity ?? {};
      const hint = printedSecretHint(printedAdmin, book?.user(printedAdmin));
      const report = clusterReport(directory, described, unled);
      return principal.isSuper && hint !== undefined ? { ...report, hints: [hint] } : report;
    },
  });

  app.post('/cluster/adoption', {
    schema: {
      operationId: 'allowAdoption',
      tags: ['cluster'],
      summary:
        'For an hour, lets brokers bring back topics and groups, with their ids, from what their logs know. For when the ' +
        'metadata was lost or set back to an old backup, and brokers refuse it for that.',
      response: answers({ status: 200, schema: 'Adoption', description: 'Adoption is allowed.' }),
    },
    handler: async ({ ip }) => {
      const untilMs = await within(
        clock,
        context.requestMsMax,
        'the name service',
        context.nameService.allowAdoption(),
      );
      log.warn({ peer: ip, untilMs }, 'brokers may bring the metadata that their logs know');
      return { untilMs };
    },
  });

  app.get<{ Params: { readonly name: string } }>('/broker-sets/:name/damage', {
    schema: {
      operationId: 'listDamage',
      tags: ['cluster'],
      summary: 'What is known to be lost of the log of a broker set: where, how much, and what was found.',
      params: nameParams('broker set'),
      response: answers({ status: 200, schema: 'LogDamages', description: 'What is lost; empty: nothing.' }, 404),
    },
    handler: async ({ params }) => {
      const damages = await within(clock, context.requestMsMax, 'the broker', brokers.damage(setNamed(params.name)));
      return { damages, seen: seenOf(damages) };
    },
  });

  app.delete<{ Params: { readonly name: string }; Querystring: { readonly seen?: string } }>(
    '/broker-sets/:name/damage',
    {
      schema: {
        operationId: 'giveUpLost',
        tags: ['cluster'],
        summary:
          'Gives up what is lost of the log of a broker set, so that consumers pass over it. Until then messages that can ' +
          'not be read are tried again: the files may be brought back from a copy.',
        params: nameParams('broker set'),
        querystring: object(
          {
            seen: described(
              text,
              '`seen` of the list that was looked at: where it is another one by now, nothing is given up.',
            ),
          },
          [],
        ),
        response: answers({ status: 200, schema: 'LogDamages', description: 'What was given up.' }, 404, 409),
      },
      handler: async ({ params, query, ip }) => {
        const name = setNamed(params.name);
        const damages = await within(clock, context.requestMsMax, 'the broker', brokers.giveUpLost(name, query.seen));
        log.warn({ peer: ip, brokerSet: name, damages: damages.length }, 'lost parts of a log were given up');
        return { damages, seen: seenOf(damages) };
      },
    },
  );

  app.delete<{ Params: { readonly name: string } }>('/broker-sets/:name/members', {
    schema: {
      operationId: 'forgetMembers',
      tags: ['cluster'],
      summary:
        'Forgets the members of a broker set whose disks are lost for good, and its messages with them. The next broker of ' +
        'that name starts with an empty log. Refused while one of the members leads.',
      params: nameParams('broker set'),
      response: answers({ status: 204, description: 'The members are forgotten.' }, 404, 409),
    },
    handler: async ({ params, ip }, reply) => {
      const { name } = await change(
        context,
        (nameService) => nameService.forgetMembers(params.name),
        (made) => directory.brokerSet(made.name)?.inSync.length === 0,
      );
      log.warn({ peer: ip, brokerSet: name }, 'the members of a broker set were forgotten, with its messages');
      return reply.code(204).send();
    },
  });
}
