/**
 * Does with the official Node.js client what it is told: one JSON object a line on stdin, answers and events the same
 * way on stdout. What the calls mean is written in ../src/calls.ts; nothing is checked here.
 */
import { createInterface } from 'node:readline';
import {
  ConsumeResult,
  FilterExpression,
  LitePushConsumerBuilder,
  OffsetOption,
  Producer,
  PushConsumer,
  SimpleConsumer,
} from 'rocketmq-client-nodejs';

const { endpoints, tls, accessKey, secret } = JSON.parse(process.argv[2]);
const base = {
  endpoints,
  sslEnabled: tls,
  namespace: '',
  logger: { info() {}, warn() {}, error() {}, debug() {} },
  ...(accessKey !== undefined && { sessionCredentials: { accessKey, accessSecret: secret } }),
};
const filterTypes = { tag: 1, sql: 2 };
const resolutions = { unknown: 0, commit: 1, rollback: 2 };

const clients = new Map();
const held = new Map();
let refs = 0;

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function viewOf(message) {
  const ref = `m${(refs += 1)}`;
  held.set(ref, message);
  return {
    ref,
    messageId: message.messageId,
    topic: message.topic,
    body: message.body.toString('base64'),
    tag: message.tag,
    keys: message.keys,
    properties: Object.fromEntries(message.properties),
    group: message.messageGroup,
    liteTopic: message.liteTopic,
    priority: message.priority,
    deliverAtMs: message.deliveryTimestamp?.getTime(),
    bornAtMs: message.bornTimestamp?.getTime(),
    attempt: message.deliveryAttempt,
    atMs: Date.now(),
  };
}

function messageOf(said) {
  return {
    topic: said.topic,
    body: Buffer.from(said.body, 'base64'),
    ...(said.tag !== undefined && { tag: said.tag }),
    ...(said.keys && { keys: said.keys }),
    ...(said.properties && { properties: new Map(Object.entries(said.properties)) }),
    ...(said.group !== undefined && { messageGroup: said.group }),
    ...(said.deliverAtMs !== undefined && { deliveryTimestamp: new Date(said.deliverAtMs) }),
    ...(said.priority !== undefined && { priority: said.priority }),
    ...(said.liteTopic !== undefined && { liteTopic: said.liteTopic }),
  };
}

const filterOf = ({ filter, kind }) => new FilterExpression(filter, filterTypes[kind]);
const subscriptionsOf = (list) => new Map(list.map((one) => [one.topic, filterOf(one)]));

/** Fails each message as often as it was told, and then takes it. */
function listenerOf(as, fail) {
  const left = new Map(Object.entries(fail));
  return {
    consume: async (message) => {
      const body = message.body.toString();
      const times = left.get(body) ?? 0;
      left.set(body, times - 1);
      const failed = times > 0;
      say({ event: 'message', as, failed, message: viewOf(message) });
      return failed ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
    },
  };
}

async function started(as, client) {
  // Known before it has started: what it hears early has a name, and a start that fails can be closed.
  clients.set(as, client);
  await client.startup();
  return {};
}

const calls = {
  producer: ({ as, topics, checker }) => {
    const check = async (message) => {
      say({ event: 'check', as, message: viewOf(message) });
      return resolutions[checker];
    };
    return started(as, new Producer({ ...base, topics, ...(checker && { checker: { check } }) }));
  },
  async send({ as, messages, async }) {
    const producer = clients.get(as);
    const sendOne = async (said) => {
      const { messageId, recallHandle } = await producer.send(messageOf(said));
      return { messageId, recallHandle };
    };
    if (async) return { receipts: await Promise.all(messages.map(sendOne)) };
    const receipts = [];
    for (const message of messages) receipts.push(await sendOne(message));
    return { receipts };
  },
  async transaction({ as, message, end }) {
    const producer = clients.get(as);
    const transaction = producer.beginTransaction();
    const { messageId } = await producer.send(messageOf(message), transaction);
    if (end === 'commit') await transaction.commit();
    if (end === 'rollback') await transaction.rollback();
    return { messageId };
  },
  async recall({ as, topic, handle }) {
    const { messageId } = await clients.get(as).recallMessage(topic, handle);
    return { messageId };
  },
  simple: ({ as, group, awaitMs, subscriptions }) =>
    started(
      as,
      new SimpleConsumer({
        ...base,
        consumerGroup: group,
        awaitDuration: awaitMs,
        subscriptions: subscriptionsOf(subscriptions),
      }),
    ),
  async receive({ as, max, invisibleMs }) {
    const messages = await clients.get(as).receive(max, invisibleMs);
    return { messages: messages.map(viewOf) };
  },
  async ack({ as, ref }) {
    await clients.get(as).ack(held.get(ref));
    return {};
  },
  async invisible({ as, ref, ms }) {
    await clients.get(as).changeInvisibleDuration(held.get(ref), ms);
    return {};
  },
  async subscribe({ as, topic, filter, kind }) {
    await clients.get(as).subscribe(topic, filterOf({ filter, kind }));
    return {};
  },
  async unsubscribe({ as, topic }) {
    clients.get(as).unsubscribe(topic);
    return {};
  },
  push: ({ as, group, subscriptions, fail }) =>
    started(
      as,
      new PushConsumer({
        ...base,
        consumerGroup: group,
        subscriptions: subscriptionsOf(subscriptions),
        messageListener: listenerOf(as, fail),
      }),
    ),
  async litePush({ as, group, topic, fail }) {
    const builder = new LitePushConsumerBuilder()
      .setClientConfiguration(base)
      .setConsumerGroup(group)
      .bindTopic(topic)
      .setMessageListener(listenerOf(as, fail));
    clients.set(as, await builder.build());
    return {};
  },
  async subscribeLite({ as, liteTopic, from }) {
    if (from === undefined) await clients.get(as).subscribeLite(liteTopic);
    else
      await clients
        .get(as)
        .subscribeLite(liteTopic, from === 'first' ? OffsetOption.MIN_OFFSET : OffsetOption.MAX_OFFSET);
    return {};
  },
  async unsubscribeLite({ as, liteTopic }) {
    await clients.get(as).unsubscribeLite(liteTopic);
    return {};
  },
  async close({ as }) {
    const client = clients.get(as);
    clients.delete(as);
    await (client?.shutdown ?? client?.close)?.call(client);
    return {};
  },
};

async function answer({ id, call, ...args }) {
  try {
    say({ id, result: await calls[call](args) });
  } catch (error) {
    say({ id, error: { name: error.name, message: error.message, code: error.code } });
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => void answer(JSON.parse(line)))
  .on('close', () => process.exit(0));
// An error that the client lets fall is the client's; the calls under way tell what came of it.
process.on('unhandledRejection', (error) => say({ event: 'stray', message: String(error?.stack ?? error) }));
