// An S3 server by others, as a process of its own: gofakes3, or what COMETMQ_S3_SERVER names.
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

import { cache, MissingToolchain, need, run, unlessMade } from '../conformance/src/toolchains/toolchain.js';
import { freePort } from './free-port.js';
import { until } from './until.js';

const tool = 'github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0';

export const bucket = 'backups';

/** @returns the program, linked statically @throws MissingToolchain where there is no Go */
export async function buildS3Server(): Promise<string> {
  need('go', 'version');
  const folder = join(cache, 'gofakes3');
  const env = { GOBIN: folder, CGO_ENABLED: '0' };
  await unlessMade(folder, [], [tool, JSON.stringify(Object.keys(env))], async () => {
    await run('go', ['install', tool], { env });
  });
  return join(folder, 'gofakes3');
}

/** Undefined where Go is missing and nobody minds. */
async function built(): Promise<string | undefined> {
  try {
    return await buildS3Server();
  } catch (caught) {
    if (!(caught instanceof MissingToolchain) || process.env['CI'] === 'true') throw caught;
    console.warn(`what needs an S3 server is left out: ${caught.message}`);
    return undefined;
  }
}

export class S3Server {
  private constructor(
    private readonly child: ChildProcess | undefined,
    /** http://host:port */
    readonly endpoint: string,
    readonly accessKeyId: string,
    readonly secretKey: string,
  ) {}

  /** Undefined: there is none here. With another one: `http://KEY:SECRET@host:port` in COMETMQ_S3_SERVER, and a bucket "backups". */
  static async start(): Promise<S3Server | undefined> {
    const given = process.env['COMETMQ_S3_SERVER'];
    if (given !== undefined) {
      const { origin, username, password } = new URL(given);
      return new S3Server(undefined, origin, username, password);
    }
    const program = await built();
    if (program === undefined) return undefined;
    const address = `127.0.0.1:${await freePort()}`;
    const child = spawn(program, ['-host', address, '-backend', 'mem', '-initialbucket', bucket], { stdio: 'ignore' });
    const server = new S3Server(child, `http://${address}`, 'test', 'test');
    const answers = (): Promise<boolean> =>
      fetch(`http://${address}/${bucket}`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until('the S3 server answers', answers, 60_000);
    return server;
  }

  /** For a broker. @param prefix of this spec */
  flags(prefix: string): string[] {
    return [
      `--backup-to=s3://${bucket}/${prefix}`,
      `--backup-endpoint=${this.endpoint}`,
      `--backup-access-key-id=${this.accessKeyId}`,
      `--backup-secret-key=${this.secretKey}`,
    ];
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}
