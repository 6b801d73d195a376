/** Goal: what the load sends is what a server hears. Method: both servers of the system tell a call's headers and body back. */
import { FrontDoorServer, type GrpcMethod, type GrpcServer, type GrpcService } from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { systemClock } from '@cometmq/shared';

import { H2Client, type Route } from './h2-client.js';
import { prefixed } from './requests.js';

const told = ['x-mq-client-id', 'x-mq-request-id', 'x-mq-date-time'];

function teller(): GrpcService {
  const method = (name: string): GrpcMethod => ({
    kind: 'unary',
    handler: (request, call, reply) => {
      const headers = told.map((header) => call.headers.get(header));
      reply.send(Buffer.from(JSON.stringify([name, ...headers, Buffer.from(request).toString('latin1')])));
    },
  });
  return { name: 'test.Teller', methods: { One: method('One'), Two: method('Two') } };
}

function routeOf(method: string, clientId: string): Route {
  return { path: `/test.Teller/${method}`, headers: [['x-mq-client-id', clientId]] };
}

describe.each(['FrontDoorServer', 'GrpcJsServer'])('the load client at a %s', (kind) => {
  let server: GrpcServer;
  let client: H2Client;

  beforeEach(async () => {
    const options = { port: 0, services: [teller()], clock: systemClock, log: () => undefined, stopMs: 1_000 };
    server = kind === 'FrontDoorServer' ? new FrontDoorServer(options) : new GrpcJsServer(options);
    await server.start();
    client = await H2Client.open(server.port);
  });

  afterEach(async () => {
    client.close();
    await server.stop();
  });

  it('says the right headers in every call, whichever method and client it was first said for', async () => {
    const routes = [routeOf('One', 'a'), routeOf('Two', 'a'), routeOf('One', 'b')];
    const seen: unknown[][] = [];
    for (let i = 0; i < 12; i += 1) {
      const answer = await client.unary(routes[i % 3] as Route, prefixed(Buffer.from(`body ${i}`)));
      seen.push(JSON.parse(answer.toString()) as unknown[]);
    }
    expect(seen.map(([method, id, , , body]) => [method, id, body])).toEqual(
      seen.map((_, i) => [['One', 'Two', 'One'][i % 3], ['a', 'a', 'b'][i % 3], `body ${i}`]),
    );
    expect(new Set(seen.map(([, , requestId]) => requestId)).size).toBe(12);
    for (const [, , , dateTime] of seen) expect(dateTime).toMatch(/^\d{8}T\d{6}Z$/);
  });

  it('carries more than the windows hold at once, and answers in pieces', async () => {
    const body = 'x'.repeat(60_000);
    const one = routeOf('One', 'a');
    const answers = await Promise.all(Array.from({ length: 60 }, () => client.unary(one, prefixed(Buffer.from(body)))));
    for (const answer of answers) expect((JSON.parse(answer.toString()) as unknown[])[4]).toBe(body);
  });

  it('says that a refused call failed', async () => {
    const nowhere: Route = { path: '/test.Teller/Nowhere', headers: [] };
    await expect(client.unary(nowhere, prefixed(Buffer.alloc(1)))).rejects.toThrow('was not answered');
  });
});
