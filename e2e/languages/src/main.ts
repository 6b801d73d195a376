/**
 * Official Java and Go clients at work while things happen to a cluster: they send and consume, and a ledger holds every
 * answer. They are the drivers of the conformance tests; this says what they are told. As e2e/kubernetes/client.ts, which is
 * for Node.js, it says how it goes four times a second; on SIGTERM, or after so many answered sends, it stops sending, waits
 * until everything came, and says its verdict.
 *
 *   main.cjs image FOLDER     makes both drivers, and lays them, a Java runtime and an S3 server for backups into the file
 *                             system of an image that has the libraries of Node.js and zlib
 *   main.cjs work             what the ERRAND says
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { clients } from '../../conformance/src/clients.js';
import { ProcessDriver, type Program } from '../../conformance/src/process-driver.js';
import { go } from '../../conformance/src/toolchains/go.js';
import { java } from '../../conformance/src/toolchains/java.js';
import { build, run, type Toolchain } from '../../conformance/src/toolchains/toolchain.js';
import type { Delivered, Receiver, Sender } from '../../support/ledger.js';
import { OrderLedger } from '../../support/order-ledger.js';
import { buildS3Server } from '../../support/s3-server.js';
import { SendBeats } from '../../support/send-beats.js';
import type { Errand } from '../../kubernetes/errand.ts';

interface LanguageErrand extends Errand {
  readonly language: string;
  /** Goes before the driver's command: what runs it in another network, or in a pod. */
  readonly before: readonly string[];
  /** The driver is where `image` has put it. */
  readonly inImage: boolean;
}

const toolchains: Readonly<Record<string, Toolchain>> = { Java: java, Go: go };
const lanes = 4;
const pauseMs = 200;
const settleMsMax = 120_000;
const awaitMs = 3_000;

/** Where the drivers are in the image. */
const folders = { java: '/driver/java', jre: '/driver/jre', go: '/driver/go', s3: '/driver/s3' } as const;
/** All that the client's jar says it needs, and ciphers. */
const javaModules = ['java.se', 'jdk.unsupported', 'jdk.crypto.ec', 'jdk.naming.dns'];

interface Found extends Delivered {
  readonly ref: string;
}

async function main([what, folder]: readonly string[]): Promise<void> {
  if (what === 'image' && folder !== undefined) return layOut(folder);
  if (what === 'work') return work(JSON.parse(process.env['ERRAND'] ?? '{}') as LanguageErrand);
  throw new Error('usage: main.cjs image FOLDER | work');
}

async function programOf(language: string): Promise<Program> {
  const newest = clients.find((each) => each.language === language && each.newest);
  const toolchain = toolchains[language];
  if (newest === undefined || toolchain === undefined) throw new Error(`there is no driver for ${language}`);
  return build(toolchain, newest.version);
}

async function layOut(image: string): Promise<void> {
  const at = (path: string): string => join(image, path);
  mkdirSync(at(folders.java), { recursive: true });
  cpSync((await programOf('Go')).file, at(folders.go));
  cpSync(await buildS3Server(), at(folders.s3));
  for (const path of classPath(await programOf('Java'))) {
    cpSync(path, join(at(folders.java), basename(path)), { recursive: true });
  }
  const small = ['--strip-debug', '--no-header-files', '--no-man-pages'];
  await run('jlink', ['--add-modules', javaModules.join(','), '--output', at(folders.jre), ...small]);
}

/** The driver's classes, and the client's jar. */
function classPath({ args }: Program): string[] {
  return (args[args.indexOf('-cp') + 1] ?? '').split(':');
}

async function program({ language, before, inImage }: LanguageErrand): Promise<Program> {
  const own = await programOf(language);
  const [file = '', ...first] = [...before, own.file];
  if (!inImage) return { file, args: [...first, ...own.args] };
  if (language === 'Go') return { file: before[0] as string, args: [...before.slice(1), folders.go] };
  const names = classPath(own).map((path) => join(folders.java, basename(path)));
  const options = own.args.filter((arg) => arg.startsWith('-X'));
  const args = [...options, '-Duser.home=/tmp', '-cp', names.join(':'), 'Driver'];
  return { file: before[0] as string, args: [...before.slice(1), `${folders.jre}/bin/java`, ...args] };
}

async function work(errand: LanguageErrand): Promise<void> {
  const { endpoints, user, topics, groups, sendsMax } = errand;
  const scratch = mkdtempSync(join(tmpdir(), 'cometmq-languages-'));
  const clientUser = { accessKey: user.accessKey, secret: user.accessSecret };
  const target = { endpoints, tls: true, caFile: '', user: clientUser };
  const driver = new ProcessDriver(await program(errand), target, join(scratch, 'driver.log'));
  try {
    const beats = new SendBeats(sendsMax);
    const order = new OrderLedger(topics.fifo, lanes, pauseMs, beats.heard);
    await driver.call('producer', { as: 'sender', topics: [topics.fifo] });
    const subscriptions = [{ topic: topics.fifo, filter: '*', kind: 'tag' }] as const;
    await driver.call('simple', { as: 'reader', group: groups.fifo, awaitMs, subscriptions });
    order.send(senderOf(driver));
    const member = order.member(receiverOf(driver));
    beats.begin();
    await beats.over;
    beats.end();
    await order.settle(settleMsMax);
    await member.crash();
    if (order.faults.length > 0) throw new Error(`order: ${order.faults.slice(0, 5).join('; ')}`);
    console.log(`balanced ${JSON.stringify({ fifoSent: order.acknowledgedSends, failed: beats.failed })}`);
  } finally {
    await driver.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

function senderOf(driver: ProcessDriver): Sender {
  return {
    send: ({ topic, messageGroup, body }) => {
      const message = {
        topic,
        body: body.toString('base64'),
        ...(messageGroup !== undefined && { group: messageGroup }),
      };
      return driver.call('send', { as: 'sender', messages: [message] });
    },
  };
}

function receiverOf(driver: ProcessDriver): Receiver<Found> {
  return {
    receive: async (max, invisibleMs) => {
      const { messages } = await driver.call('receive', { as: 'reader', max, invisibleMs });
      return messages.map(({ ref, body, attempt }) => {
        return { ref, body: Buffer.from(body, 'base64'), deliveryAttempt: attempt };
      });
    },
    ack: ({ ref }) => driver.call('ack', { as: 'reader', ref }),
    shutdown: () => driver.call('close', { as: 'reader' }),
  };
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (caught: unknown) => {
    console.log(`failed ${caught instanceof Error ? caught.message : String(caught)}`);
    process.exit(1);
  },
);
