import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

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
        { name: 'cluster', description: 'Is it well, and what is it made of.' },
        { name: 'topics', description: 'What messages are sent to.' },
        { name: 'groups', description: 'Who consumes, and how far they have come.' },
        { name: 'clients', description: 'What one living client can be asked.' },
        { name: 'delayed messages', description: 'What waits for its time.' },
        { name: 'transactions', description: 'Half messages that nobody has decided on.' },
      ],
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, i) => (typeof schema.$id === 'string' ? schema.$id : `def-${i}`),
    },
  });
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { deepLinking: true } });
  app.get('/openapi.json', { schema: { hide: true }, handler: async () => app.swagger() });
}
