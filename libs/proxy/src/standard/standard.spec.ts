/** The services that every gRPC tool knows, over the clients' port. */
import { MessagingServiceDefinition, health, reflection } from '@cometmq/proto';
import { FrontDoorServer, GrpcJsChannel } from '@cometmq/rpc';
import { systemClock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { openProxy } from '../testing.js';
import { FileDescriptors } from './file-descriptors.js';
import { Health } from './health.js';
import { reflectionServices } from './reflection.js';

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = health.HealthCheckResponse_ServingStatus;
const messagingName = 'apache.rocketmq.v2.MessagingService';

let unready: string | undefined;
let clock: ManualClock;
let context: Awaited<ReturnType<typeof openProxy>>;
let server: FrontDoorServer;
let channel: GrpcJsChannel;
let asked: Health;

beforeEach(async () => {
  unready = undefined;
  clock = new ManualClock();
  context = await openProxy();
  asked = new Health({ clock, services: [context.messaging.service], unready: () => unready });
  const services = [context.messaging.service, asked.service];
  server = new FrontDoorServer({
    host: '127.0.0.1',
    port: 0,
    mode: 'plaintext-only',
    services: [...services, ...reflectionServices(services)],
    clock: systemClock,
    log: (said, cause) => {
      throw new Error(said, { cause });
    },
  });
  await server.start();
  channel = new GrpcJsChannel({ address: `127.0.0.1:${server.port}`, clock: systemClock });
});

afterEach(async () => {
  channel.close();
  await server.stop();
  await context.stop();
});

describe('health', () => {
  const check = async (service: string): Promise<number> => {
    const request = health.HealthCheckRequest.encode({ service }).finish();
    return health.HealthCheckResponse.decode(await channel.unary('/grpc.health.v1.Health/Check', request)).status;
  };

  it('says whether the server and its services serve', async () => {
    expect([await check(''), await check(messagingName)]).toEqual([SERVING, SERVING]);
    unready = 'no broker set has a leader yet';
    expect([await check(''), await check(messagingName)]).toEqual([NOT_SERVING, NOT_SERVING]);
    await expect(check('who.Knows')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const broken = channel.unary('/grpc.health.v1.Health/Check', Buffer.of(0x0a, 0x7f));
    await expect(broken).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  it('tells who watches of each change, and of the end', async () => {
    const watch = (service: string): { heard: number[]; next: () => Promise<void>; ended: Promise<unknown> } => {
      const request = health.HealthCheckRequest.encode({ service }).finish();
      const stream = channel.serverStream('/grpc.health.v1.Health/Watch', request);
      const heard: number[] = [];
      let tell = (): void => undefined;
      stream.onMessage((message) => {
        heard.push(health.HealthCheckResponse.decode(message).status);
        tell();
      });
      const next = (): Promise<void> => new Promise((resolve) => (tell = resolve));
      return { heard, next, ended: new Promise((resolve) => stream.onEnd(resolve)) };
    };
    const [server_, unknown] = [watch(''), watch('who.Knows')];
    await Promise.all([server_.next(), unknown.next()]);
    clock.advance(3_000); // Nothing has changed.
    unready = 'stopping';
    let change = server_.next();
    clock.advance(1_000);
    await change;
    unready = undefined;
    change = server_.next();
    clock.advance(1_000);
    await change;
    asked.drain();
    expect([await server_.ended, await unknown.ended]).toEqual([undefined, undefined]);
    expect(server_.heard).toEqual([SERVING, NOT_SERVING, SERVING, NOT_SERVING]);
    expect(unknown.heard).toEqual([SERVICE_UNKNOWN]);
    expect(clock.timersWaiting).toBe(0);
  });
});

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  type Question = NonNullable<reflection.ServerReflectionRequest['messageRequest']>;
  const ask = (...questions: Question[]): Promise<reflection.ServerReflectionResponse['messageResponse'][]> =>
    new Promise((resolve, reject) => {
      const stream = channel.bidi(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);
      const answers: reflection.ServerReflectionResponse['messageResponse'][] = [];
      stream.onMessage((message) => {
        answers.push(reflection.ServerReflectionResponse.decode(message).messageResponse);
      });
      stream.onEnd((error) => (error ? reject(error) : resolve(answers)));
      for (const messageRequest of questions) {
        stream.write(reflection.ServerReflectionRequest.encode({ host: '', messageRequest }).finish());
      }
      stream.end();
    });

  it('lists the services, and shows each with all that its messages need', async () => {
    const [list] = await ask({ $case: 'listServices', value: '*' });
    const names = list?.$case === 'listServicesResponse' ? list.value.service.map(({ name }) => name) : [];
    expect(names).toEqual([
      messagingName,
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]);
    const methods = Object.values(MessagingServiceDefinition.methods).map(({ name }) => `${messagingName}.${name}`);
    expect(methods.length).toBeGreaterThan(15);
    const symbols = [...names, ...methods, 'apache.rocketmq.v2.Message', 'apache.rocketmq.v2.Code'];
    const answers = await ask(...symbols.map((value): Question => ({ $case: 'fileContainingSymbol', value })));
    for (const [i, answer] of answers.entries()) {
      if (answer?.$case !== 'fileDescriptorResponse') throw new Error(`${symbols[i]}: ${JSON.stringify(answer)}`);
      const set = Buffer.concat(
        answer.value.fileDescriptorProto.map((file) => {
          const length = file.length;
          return Buffer.concat([
            Buffer.of(0x0a, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14),
            file,
          ]);
        }),
      );
      // What came stands alone: the symbol is in it, and so is every file that it imports.
      const alone = new FileDescriptors(set);
      expect(alone.declaring(symbols[i] ?? '')?.length).toBe(answer.value.fileDescriptorProto.length);
    }
    expect(answers).toHaveLength(symbols.length);
    const messaging = answers[0];
    const files = messaging?.$case === 'fileDescriptorResponse' ? messaging.value.fileDescriptorProto : [];
    expect(files).toHaveLength(4); // Service, definition, timestamp, duration.
  });

  it('knows files by their names, says what it does not know, and nothing of our inside', async () => {
    const answers = await ask(
      { $case: 'fileByFilename', value: 'google/protobuf/duration.proto' },
      { $case: 'fileByFilename', value: 'cometmq/v1/broker.proto' },
      { $case: 'fileContainingSymbol', value: 'cometmq.v1.BrokerService' },
      { $case: 'allExtensionNumbersOfType', value: 'apache.rocketmq.v2.Message' },
    );
    expect(answers.map((answer) => answer?.$case)).toEqual([
      'fileDescriptorResponse',
      'errorResponse',
      'errorResponse',
      'errorResponse',
    ]);
    const codes = answers.map((answer) => (answer?.$case === 'errorResponse' ? answer.value.errorCode : 0));
    expect(codes).toEqual([0, 5, 5, 5]);
  });
});
