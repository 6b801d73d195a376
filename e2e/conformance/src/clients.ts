/**
 * The official clients, and what each cannot do. A feature that a client lacks, or that a mistake of its own spoils
 * whatever the server does, is "n/a" with the reason; it never counts as a pass.
 */
import type { FeatureId } from './features/index.js';
import type { Traits } from './scene.js';
import { nodejs } from './toolchains/nodejs.js';
import { python } from './toolchains/python.js';
import type { Toolchain } from './toolchains/toolchain.js';

export interface Client {
  readonly language: string;
  /** The package's name, as its registry knows it. */
  readonly package: string;
  readonly version: string;
  readonly newest: boolean;
  readonly toolchain: Toolchain;
  readonly traits: Traits;
  readonly lacks: Lacks;
}
type Lacks = Partial<Record<FeatureId, string>>;

const MiB = 1024 * 1024;

const noLite = 'this client has no lite topics';
const noLiteSimple = 'this client has no simple consumer for lite topics';
const noPriority = 'this client has no priority messages';
const noRecall = 'this client cannot recall messages';
const noPush = 'this client has no push consumer';
const onlyAsync = 'every send of this client is asynchronous: see "send and receive"';

const nodejsTraits: Traits = { bodyBytesMax: 3.5 * MiB };
const pythonTraits: Traits = { bodyBytesMax: 4 * MiB, wholeSeconds: true };

export const clients: readonly Client[] = [
  {
    language: 'Python',
    package: 'rocketmq-python-client',
    version: '5.1.2',
    newest: true,
    toolchain: python,
    traits: pythonTraits,
    lacks: {},
  },
  {
    language: 'Python',
    package: 'rocketmq-python-client',
    version: '5.0.6',
    newest: false,
    toolchain: python,
    traits: { ...pythonTraits, noPush: true },
    lacks: {
      push: noPush,
      'push-retry': noPush,
      fifo: `${noPush}; see the simple one`,
      'fifo-retry': noPush,
      'fifo-dead-letter': noPush,
      recall: noRecall,
      priority: noPriority,
      'lite-push': noLite,
      'lite-simple': noLite,
    },
  },
  {
    language: 'Node.js',
    package: 'rocketmq-client-nodejs',
    version: '1.0.8',
    newest: true,
    toolchain: nodejs,
    traits: nodejsTraits,
    lacks: { 'send-async': onlyAsync, 'lite-simple': noLiteSimple },
  },
];

export const nameOf = ({ language, version }: Client): string => `${language} ${version}`;
