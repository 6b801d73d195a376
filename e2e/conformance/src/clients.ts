/**
 * The official clients, and what each cannot do. A feature that a client lacks, or that a mistake of its own spoils
 * whatever the server does, is "n/a" with the reason; it never counts as a pass.
 */
import type { Driver } from './calls.js';
import type { FeatureId } from './features/index.js';
import { ProcessDriver, type Target } from './process-driver.js';
import type { Traits } from './scene.js';
import { go } from './toolchains/go.js';
import { java } from './toolchains/java.js';
import { nodejs } from './toolchains/nodejs.js';
import { python } from './toolchains/python.js';
import { rust } from './toolchains/rust.js';
import { build, type Toolchain } from './toolchains/toolchain.js';
import { cpp, csharp, php, type Dialect } from './wire/dialects.js';
import { WireDriver } from './wire/wire-driver.js';

export interface Client {
  readonly language: string;
  /** The package's name, as its registry knows it. */
  readonly package: string;
  readonly version: string;
  readonly newest: boolean;
  /** Its driver, ready to be called. @param logFile what the client says besides. @throws MissingToolchain */
  readonly start: (target: Target, logFile: string) => Promise<Driver>;
  readonly traits: Traits;
  readonly lacks: Lacks;
}
type Lacks = Partial<Record<FeatureId, string>>;

const MiB = 1024 * 1024;

const noLite = 'this client has no lite topics';
const noLiteSimple = 'this client has no simple consumer for lite topics';
const noPriority = 'this client has no priority messages';
const noRecall = 'this client cannot recall messages';
const pythonLite = 'this client subscribes to the letters of a lite topic’s name, one by one, instead of to the name';
const noPush = 'this client has no push consumer';
const goFifo = 'this client goes on to the next message of a group before the failed one is through';
const sameMessages = 'the same messages as those of "send and receive"';
const onlyAsync = 'every send of this client is asynchronous: see "send and receive"';

const javaTraits: Traits = { bodyBytesMax: 4 * MiB };
const nodejsTraits: Traits = { bodyBytesMax: 3.5 * MiB };
/** It gives its gRPC library a send limit of 2 MiB. */
const goTraits: Traits = { bodyBytesMax: 1.9 * MiB };
const pythonTraits: Traits = { bodyBytesMax: 4 * MiB, wholeSeconds: true, losesAnswers: true };
const rustTraits: Traits = { bodyBytesMax: 3.5 * MiB, wholeSeconds: true, noPush: true };

const rustLacks: Lacks = {
  'send-async': onlyAsync,
  'invisible-duration': 'the published crate has no call for it',
  'subscribe-later': 'this client names the topic in each receive',
  push: noPush,
  'push-retry': noPush,
  fifo: `${noPush}; see the simple one`,
  'fifo-retry': noPush,
  'fifo-dead-letter': noPush,
  recall: noRecall,
  priority: noPriority,
  'lite-push': noLite,
  'lite-simple': noLite,
  'body-empty': 'this client panics on the code for an empty body',
};

/** The three that are not run, but spoken for: by protobuf messages with their headers and habits. */
const spoken = (dialect: Dialect): Pick<Client, 'package' | 'version' | 'newest' | 'start'> => ({
  package: 'by its messages',
  version: dialect.version,
  newest: true,
  start: (target) => Promise.resolve(new WireDriver(dialect, target)),
});

function process(toolchain: Toolchain, version: string): Client['start'] {
  return async (target, logFile) => new ProcessDriver(await build(toolchain, version), target, logFile);
}

export const clients: readonly Client[] = [
  {
    language: 'Java',
    package: 'rocketmq-client-java',
    version: '5.2.0',
    newest: true,
    start: process(java, '5.2.0'),
    traits: javaTraits,
    lacks: { 'lite-simple': noLiteSimple },
  },
  {
    language: 'Java',
    package: 'rocketmq-client-java',
    version: '5.0.7',
    newest: false,
    start: process(java, '5.0.7'),
    traits: javaTraits,
    lacks: { recall: noRecall, priority: noPriority, 'lite-push': noLite, 'lite-simple': noLite },
  },
  {
    language: 'Go',
    package: 'rocketmq-clients/golang/v5',
    version: '5.1.4',
    newest: true,
    start: process(go, '5.1.4'),
    traits: goTraits,
    lacks: {
      'fifo-retry': goFifo,
      'fifo-dead-letter': goFifo,
      'lite-simple': noLiteSimple,
    },
  },
  {
    language: 'Go',
    package: 'rocketmq-clients/golang/v5',
    version: '5.1.3',
    newest: false,
    start: process(go, '5.1.3'),
    traits: goTraits,
    lacks: {
      'fifo-retry': goFifo,
      'fifo-dead-letter': goFifo,
      recall: noRecall,
      priority: noPriority,
      'lite-push': noLite,
      'lite-simple': noLite,
    },
  },
  {
    language: 'Python',
    package: 'rocketmq-python-client',
    version: '5.1.2',
    newest: true,
    start: process(python, '5.1.2'),
    traits: pythonTraits,
    lacks: { 'lite-push': pythonLite, 'lite-simple': pythonLite },
  },
  {
    language: 'Python',
    package: 'rocketmq-python-client',
    version: '5.0.6',
    newest: false,
    start: process(python, '5.0.6'),
    traits: { ...pythonTraits, noPush: true },
    lacks: {
      push: noPush,
      'push-retry': noPush,
      fifo: `${noPush}; see the simple one`,
      'fifo-retry': noPush,
      'fifo-dead-letter': noPush,
      'transaction-check':
        'this version writes its first settings twice at once, which now and then breaks its stream: nobody can ask it',
      recall: noRecall,
      priority: noPriority,
      'lite-push': noLite,
      'lite-simple': noLite,
    },
  },
  {
    language: 'Rust',
    package: 'rocketmq',
    version: '5.0.0',
    newest: true,
    start: process(rust, '5.0.0'),
    traits: rustTraits,
    lacks: rustLacks,
  },
  {
    language: 'Rust',
    package: 'rocketmq',
    version: '0.1.2',
    newest: false,
    start: process(rust, '0.1.2'),
    traits: rustTraits,
    lacks: rustLacks,
  },
  // No older one was to be had when this was written.
  {
    language: 'Node.js',
    package: 'rocketmq-client-nodejs',
    version: '1.0.8',
    newest: true,
    start: process(nodejs, '1.0.8'),
    traits: nodejsTraits,
    lacks: { 'send-async': onlyAsync, 'lite-simple': noLiteSimple },
  },
  {
    language: 'C++',
    ...spoken(cpp),
    traits: { bodyBytesMax: 4 * MiB },
    lacks: {
      'send-async': sameMessages,
      priority: noPriority,
      'lite-push': noLite,
      'lite-simple': noLite,
      'fifo-dead-letter': 'this client tries a batch of an orderly group again without limit',
    },
  },
  {
    language: 'C#',
    ...spoken(csharp),
    traits: { bodyBytesMax: 3.5 * MiB },
    lacks: { 'send-async': sameMessages, 'lite-simple': noLiteSimple },
  },
  {
    language: 'PHP',
    ...spoken(php),
    traits: { bodyBytesMax: 4 * MiB, noPush: true },
    lacks: {
      'send-async': sameMessages,
      push: noPush,
      'push-retry': noPush,
      fifo: `${noPush}; see the simple one`,
      'fifo-retry': noPush,
      'fifo-dead-letter': noPush,
      priority: noPriority,
      'lite-push': noLite,
      'lite-simple': noLite,
    },
  },
];

export const nameOf = ({ language, version }: Client): string => `${language} ${version}`;
