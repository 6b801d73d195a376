import type { FastifyInstance } from 'fastify';

import { askAll } from '../reports/ask-all.js';
import { clusterReport } from '../reports/cluster-report.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';

/** How long a broker may take before the cluster counts as unhealthy. */
const describeMsMax = 2000;

export function clusterRoutes(app: FastifyInstance, { directory, brokers, clock }: AdminContext): void {
  app.get('/health', {
    schema: {
      operationId: 'health',
      tags: ['cluster'],
      summary: 'This process lives. Says nothing about the brokers: see the cluster for that.',
      response: answers({ status: 200, schema: 'Health', description: 'It does.' }),
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
    handler: async () =>
      clusterReport(directory, await askAll(directory, clock, describeMsMax, (set) => brokers.describe(set))),
  });
}
