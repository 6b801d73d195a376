import assert from 'node:assert/strict';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTls } from 'node:tls';

import { ClientType } from '@cometmq/proto';
import { until } from '../../../../support/until.js';
import { is, queuesOf, send, message, settingsCommand, settle, topicOf, type WireCheck } from '../talk.js';

export const streams: readonly WireCheck[] = [
  {
    title: 'telemetry stays open with a deadline of sixty years, and answers headers first',
    core: true,
    async check(talk) {
      const wire = talk.wire();
      const said = { type: ClientType.PRODUCER, topics: [await talk.topic()] };
      const { telemetry, first } = await settle(wire, said, '31535999M');
      is(first.status?.code, 'OK');
      assert.equal(telemetry.order[0], 'headers');
      telemetry.write(settingsCommand(said));
      await until('a second answer', () => telemetry.commands.length === 2);
      assert.equal(telemetry.ended, false);
    },
  },
  {
    title: 'settings of a producer come back complete, also without topics',
    core: true,
    async check(talk) {
      const { first } = await settle(talk.wire(), { type: ClientType.PRODUCER });
      is(first.status?.code, 'OK');
      assert(first.command?.$case === 'settings');
      const { backoffPolicy, pubSub, metric } = first.command.value;
      assert.equal(backoffPolicy?.strategy?.$case, 'exponentialBackoff');
      assert((backoffPolicy?.maxAttempts ?? 0) > 0);
      assert(pubSub?.$case === 'publishing');
      assert(pubSub.value.maxBodySize > 0);
      assert.equal(metric?.on, false);
    },
  },
  {
    title: 'settings of a consumer come back complete',
    core: true,
    async check(talk) {
      const said = { type: ClientType.PUSH_CONSUMER, topics: [await talk.topic()], group: await talk.group() };
      const { first } = await settle(talk.wire(), said);
      is(first.status?.code, 'OK');
      assert(first.command?.$case === 'settings');
      const { backoffPolicy, pubSub } = first.command.value;
      assert(backoffPolicy?.strategy);
      assert.equal(backoffPolicy.maxAttempts, 17);
      assert(pubSub?.$case === 'subscription');
      assert.equal(pubSub.value.receiveBatchSize, 32);
      assert.equal(pubSub.value.longPollingTimeout?.seconds, 20);
      assert.equal(pubSub.value.fifo, false);
      assert.equal(pubSub.value.group?.name, said.group);
      assert.equal(pubSub.value.subscriptions.length, 1);
    },
  },
  {
    title: 'a rejected telemetry stream says only its status, and ends',
    core: true,
    async check(talk) {
      const { telemetry, first } = await settle(talk.wire(), { type: ClientType.PUSH_CONSUMER, group: 'no good!' });
      is(first.status?.code, 'ILLEGAL_CONSUMER_GROUP');
      assert.equal(first.command, undefined);
      await until('the end', () => telemetry.ended);
      assert.equal(telemetry.order.at(-1), 'end');
    },
  },
  {
    title: 'an empty or unknown command does not end the stream',
    core: true,
    async check(talk) {
      const said = { type: ClientType.PRODUCER };
      const { telemetry } = await settle(talk.wire(), said);
      telemetry.write({});
      telemetry.write({ command: { $case: 'threadStackTrace', value: { nonce: 'nobody asked' } } });
      telemetry.write(settingsCommand(said));
      await until('a second answer', () => telemetry.commands.length === 2);
      assert.equal(telemetry.ended, false);
    },
  },
  {
    title: 'without a client id: CLIENT_ID_REQUIRED; with nothing else: served',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const nobody = await talk.bareWire(talk.target, {}).unary('queryRoute', { topic: topicOf(topic) });
      is(nobody.status?.code, 'CLIENT_ID_REQUIRED');
      const somebody = talk.bareWire(talk.target, { 'x-mq-client-id': 'just-me' });
      assert((await queuesOf(somebody, topic)).length > 0);
      await send(talk.bareWire(talk.target, { 'x-mq-client-id': 'x', 'x-mq-language': 'KLINGON' }), [
        message(topic, 'from afar'),
      ]);
    },
  },
  {
    title: 'a heartbeat without settings, a goodbye of a stranger, and one said twice',
    core: true,
    async check(talk) {
      const group = topicOf(await talk.group());
      const wire = talk.wire();
      for (const clientType of [ClientType.PRODUCER, ClientType.PULL_CONSUMER, ClientType.SIMPLE_CONSUMER]) {
        is((await wire.unary('heartbeat', { clientType, group })).status?.code, 'OK');
      }
      is((await wire.unary('heartbeat', { group })).status?.code, 'UNRECOGNIZED_CLIENT_TYPE');
      for (let times = 0; times < 2; times += 1) {
        is((await wire.unary('notifyClientTermination', { group })).status?.code, 'OK');
      }
      is((await wire.unary('notifyClientTermination', { group: topicOf('') })).status?.code, 'OK');
    },
  },
  {
    title: 'pings without calls do not close the connection',
    async check(talk) {
      const { endpoints, tls } = talk.target;
      const session = connectHttp2(`${tls ? 'https' : 'http'}://${endpoints}`, { rejectUnauthorized: false });
      try {
        const left = new Promise<never>((_, reject) => {
          session.once('goaway', (code) => reject(new Error(`GOAWAY ${code}`)));
          session.once('error', reject);
        });
        await Promise.race([left, new Promise((resolve) => session.once('connect', resolve))]);
        for (let times = 0; times < 8; times += 1) {
          await Promise.race([left, ping(session)]);
          await Promise.race([left, new Promise((resolve) => setTimeout(resolve, 1_000))]);
        }
        assert.equal(session.closed, false);
      } finally {
        session.destroy();
      }
    },
  },
  {
    title: 'TLS and plain text on one port; TLS agrees on h2',
    core: true,
    async check(talk) {
      const [host = '', port = ''] = talk.target.endpoints.split(':');
      const socket = connectTls({ host, port: Number(port), ALPNProtocols: ['h2'], rejectUnauthorized: false });
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
      assert.equal(socket.alpnProtocol, 'h2');
      socket.destroy();
      const plain = talk.wire({ ...talk.target, tls: false });
      assert((await queuesOf(plain, await talk.topic())).length > 0);
    },
  },
];

function ping(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping((error: Error | null) => (error ? reject(error) : resolve()));
  });
}
