import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

import { docsPage } from './docs-page.js';

/** Watches the routes that are added from now on, and serves what they are as a document and as pages. */
export async function addOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'CometMQ administration',
        version,
        description:
          'Topics, consumer groups and the state of a CometMQ cluster. Errors are problem documents (RFC 9457) with a ' +
          'stable `code`. Fields that end in `Ms` are milliseconds; moments are milliseconds since 1970-01-01 UTC.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'cluster', description: 'State of the cluster and its broker sets.' },
        { name: 'topics', description: 'Topics.' },
        { name: 'groups', description: 'Consumer groups and their progress.' },
        { name: 'messages', description: 'Messages: found, looked at, and what was decided on them.' },
        { name: 'dead letters', description: 'Dead letters: why there are any, and what is done about them.' },
        { name: 'session', description: 'Logging in and out.' },
        { name: 'users', description: 'Users and what they may do.' },
        { name: 'alerts', description: 'What is wrong, and what was.' },
        { name: 'clients', description: 'Connected clients, and questions to them.' },
        { name: 'backups', description: 'Copies of broker sets in a bucket.' },
        { name: 'delayed messages', description: 'Delayed messages that are not due yet.' },
        { name: 'transactions', description: 'Transactions that are neither committed nor rolled back.' },
      ],
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, i) => (typeof schema.$id === 'string' ? schema.$id : `def-${i}`),
    },
  });
  await app.register(swaggerUi, docsPage);
  app.get('/openapi.json', { schema: { hide: true }, handler: async () => app.swagger() });
}
