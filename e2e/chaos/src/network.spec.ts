// Goal: a fault lies between the two processes it was meant for, in the direction it was meant for, and ends with all that
// was held back having arrived. Method: an echo in this process behind a door, and callers in processes of their own.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

import { until } from '../../support/until.js';
import { Network } from './network.js';

/** Says what it reads from its input over a connection, and what comes back to its output. */
const caller = `
  const socket = require('node:net').connect(+process.argv[1], '127.0.0.1');
  process.stdin.on('data', (bytes) => socket.write(bytes));
  socket.on('connect', () => console.log('connected'));
  socket.on('data', (bytes) => process.stdout.write(bytes));
  socket.on('error', (error) => { console.log(error.code); process.exit(); });
  socket.on('close', () => { console.log('closed'); process.exit(); });
`;

class Caller {
  readonly heard: string[] = [];
  private readonly child: ChildProcess;

  constructor(port: number) {
    this.child = spawn(process.execPath, ['-e', caller, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.child.stdout) createInterface(this.child.stdout).on('line', (line) => this.heard.push(line));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  say(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  async hears(line: string): Promise<void> {
    await until(
      () => `"${line}"; heard was ${this.heard.join(', ')}`,
      () => this.heard.includes(line),
      60_000,
    );
  }

  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.kill('SIGKILL')) await once(this.child, 'exit');
  }
}

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('the network between processes', () => {
  let network: Network;
  let server: Server;
  let port = 0;
  let callers: Caller[] = [];
  const names: string[] = [];
  const said: string[] = [];
  const sockets: Socket[] = [];

  const call = async (name: string): Promise<Caller> => {
    const made = new Caller(port);
    callers.push(made);
    names.push(name);
    await made.hears('connected');
    made.say('hello');
    await made.hears('hello');
    return made;
  };

  beforeEach(async () => {
    callers = [];
    names.length = 0;
    said.length = 0;
    sockets.length = 0;
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        said.push(...bytes.toString().trim().split('\n'));
        socket.write(bytes);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    network = new Network();
    network.know(() => callers.map(({ pid }, i) => [pid, names[i] ?? ''] as const));
    port = await network.door('server', (server.address() as AddressInfo).port);
    await until('an open door', () => network.isOpen('server'), 60_000);
  });
  afterEach(async () => {
    network.end();
    await Promise.all(callers.map((each) => each.end()));
    server.close();
  });

  it('is cut for one pair only, and what was said meanwhile arrives', async () => {
    const [one, other] = [await call('one'), await call('other')];
    const heal = network.cut('one', 'server');
    one.say('held');
    other.say('free');
    await other.hears('free');
    expect(said).not.toContain('held');
    heal();
    await one.hears('held');
  });

  it('is cut in one direction only', async () => {
    const one = await call('one');
    const heal = network.cutOneWay('server', 'one');
    one.say('heard there');
    await until('what was said', () => said.includes('heard there'), 60_000);
    expect(one.heard).not.toContain('heard there');
    heal();
    await one.hears('heard there');
  });

  it('does not tell the end of a connection through a cut', async () => {
    const [one, other] = [await call('one'), await call('other')];
    const heal = network.cut('one', 'server');
    for (const socket of sockets) socket.end();
    await other.hears('closed');
    expect(one.heard).not.toContain('closed');
    heal();
    await one.hears('closed');
  });

  it('refuses connections while nobody listens, and while it is told to', async () => {
    const refusal = async (): Promise<void> => {
      const late = new Caller(port);
      callers.push(late);
      names.push('late');
      await late.hears('ECONNREFUSED');
    };
    const one = await call('one');
    const admit = network.refuse('server', ['one']);
    await one.hears('ECONNRESET');
    await refusal();
    admit();
    await until('an open door again', () => network.isOpen('server'), 60_000);
    const two = await call('two');
    server.close();
    for (const socket of sockets) socket.destroy();
    await two.hears('closed');
    await refusal();
  });
});
