// Goal: what a server of S3 answers becomes an error with a reason, or is tried again; nothing goes on after the end. Method: a
// server that answers what it is told. What a real one does: e2e/backup.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

import { MqError, systemClock } from '@cometmq/shared';

import { putObject, readObject } from '../object-store.js';
import { listed } from '../testing/object-store-contract.js';
import { S3Store } from './s3-store.js';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let answers: Answer[];
let asked: string[];

beforeEach(async () => {
  answers = [];
  asked = [];
  server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.headers.host?.replace(/:\d+$/, '') ?? ''}${request.url ?? ''}`);
    request.resume().on('end', () => (answers.shift() ?? status(500))(request, response));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function status(code: number, body = ''): Answer {
  return (_request, response) => response.writeHead(code).end(body);
}
const failed = (code: number, name: string, message: string): Answer =>
  status(code, `<Error><Code>${name}</Code><Message>${message}</Message></Error>`);

function storeOf(): S3Store {
  const { port } = server.address() as AddressInfo;
  return new S3Store({
    ...{ endpoint: `http://127.0.0.1:${port}`, region: 'r', bucket: 'backups', addressing: 'path', prefix: 'p/' },
    ...{ accessKeyId: 'key', secretAccessKey: 'not to be seen', clock: systemClock },
  });
}

async function faultOf(act: Promise<unknown>): Promise<MqError> {
  return act.then(
    () => Promise.reject(new Error('it was not refused')),
    (caught: unknown) => MqError.from(caught),
  );
}

it.each([
  [403, 'SignatureDoesNotMatch', 'FORBIDDEN'],
  [403, 'AccessDenied', 'FORBIDDEN'],
  [404, 'NoSuchBucket', 'NOT_FOUND'],
  [400, 'AuthorizationHeaderMalformed', 'BAD_REQUEST'],
])('says at once what it was told, without a secret: %i %s', async (code, name, expected) => {
  answers.push(failed(code, name, 'so it is'));
  const error = await faultOf(listed(storeOf(), ''));
  expect([error.code, error.reason]).toEqual([expected, `GET in bucket backups: ${code} ${name} so it is`]);
  expect(asked).toHaveLength(1);
});

it('tries again what fails for a moment, with all of the body', async () => {
  answers.push(failed(503, 'SlowDown', 'slower'), (request) => request.socket.destroy(), status(200));
  const store = storeOf();
  await putObject(store, 'a', Buffer.from('body'));
  expect(asked).toEqual(Array.from({ length: 3 }, () => 'PUT 127.0.0.1/backups/p/a'));
  answers.push(status(500), status(200, 'body'));
  expect((await readObject(store, 'a', 10)).toString()).toBe('body');
});

it('names the server that does not answer, and why', async () => {
  const store = storeOf();
  server.close();
  await once(server, 'close');
  const error = await faultOf(listed(store, ''));
  expect([error.code, error.reason]).toEqual(['UNAVAILABLE', expect.stringMatching(/does not answer: .*ECONNREFUSED/)]);
}, 30_000);

it('ends at once what goes on when it is closed, and begins nothing after', async () => {
  const store = storeOf();
  const waits = faultOf(listed(store, '')); // 500: it pauses before the next attempt.
  await new Promise<void>((resolve) => {
    answers.push((_request, response) => {
      response.writeHead(500).end();
      resolve();
    });
  });
  store.close();
  expect((await waits).code).toBe('CANCELLED');
  const before = asked.length;
  expect((await faultOf(putObject(store, 'a', Buffer.from('x')))).code).toBe('CANCELLED');
  expect(asked).toHaveLength(before);
});

it('lists page by page, however many there are', async () => {
  const page = (key: string, more: string): string =>
    `<ListBucketResult><Contents><Key>p/${key}</Key><LastModified>2026-11-30T04:00:00Z</LastModified><Size>3</Size></Contents>${more}</ListBucketResult>`;
  answers.push(
    status(200, page('a&amp;b', '<IsTruncated>true</IsTruncated><NextContinuationToken>t+/=</NextContinuationToken>')),
  );
  answers.push(status(200, page('c', '<IsTruncated>false</IsTruncated>')));
  expect((await listed(storeOf(), '')).map(({ key, bytes }) => [key, bytes])).toEqual([
    ['a&b', 3],
    ['c', 3],
  ]);
  expect(asked[1]).toContain('&continuation-token=t%2B%2F%3D');
});

it.each([
  ['that it goes on, and not where', ''],
  ['the same page for ever', '<NextContinuationToken>t</NextContinuationToken>'],
])('takes no part of a list for the whole: a bucket says %s', async (_, more) => {
  const page = `<ListBucketResult><IsTruncated>true</IsTruncated>${more}</ListBucketResult>`;
  for (let count = 0; count < 100; count += 1) answers.push(status(200, page));
  await expect(listed(storeOf(), '')).rejects.toMatchObject({ code: 'INTERNAL' });
  expect(asked.length).toBeLessThan(10);
});

it.each([
  ['path', 'https://s3.example/backups/p/a/b%20c', 'https://s3.example/backups?list-type=2'],
  ['virtual-host', 'https://backups.s3.example/p/a/b%20c', 'https://backups.s3.example/?list-type=2'],
] as const)('has the bucket in its addresses where that is wanted: %s', async (addressing, object, list) => {
  const urls: string[] = [];
  const answer = (request: Request): Promise<Response> => {
    urls.push(request.url);
    return Promise.resolve(new Response('<ListBucketResult></ListBucketResult>'));
  };
  const fetched = jest.spyOn(globalThis, 'fetch').mockImplementation(answer as typeof fetch);
  try {
    const store = new S3Store({
      ...{ endpoint: 'https://s3.example/', region: 'r', bucket: 'backups', addressing, prefix: 'p/' },
      ...{ accessKeyId: 'key', secretAccessKey: 'secret', clock: systemClock },
    });
    await putObject(store, 'a/b c', Buffer.from('x'));
    await listed(store, 'x');
  } finally {
    fetched.mockRestore();
  }
  expect(urls).toEqual([object, expect.stringMatching(list.replaceAll(/[?.]/g, '\\$&'))]);
});
