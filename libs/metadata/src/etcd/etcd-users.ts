/**
 * An etcd that is this cluster's alone has users: root, whose password the name servers are given, and the name servers' own, who
 * may read and write what is below the cluster's root and nothing else. Who it is that calls says its certificate: its common name
 * is the user's. So a name server does with etcd what its certificate allows, and needs root's password for one thing only: to
 * see to it that this stays so.
 *
 * It is looked at again and again, as etcd may be another one by now: one that lost its volume begins without users, and one
 * that was restored has those of its snapshot.
 */
import { randomBytes, X509Certificate } from 'node:crypto';
import { Range } from 'etcd3';
import { failureFacts, MqError, ToldOnce, type Clock, type Component, type Timer } from '@cometmq/shared';

import { EtcdClient, etcdError, type EtcdAddress } from './etcd-client.js';

export interface EtcdUsersOptions {
  /** As now: certificates are renewed. @throws where its files can't be read */
  readonly address: () => EtcdAddress;
  /** What the keys begin with that our user may read and write. */
  readonly root: string;
  /** Root's, as now. @throws where its file can't be read */
  readonly password: () => string;
  readonly clock: Clock;
  readonly tell: (level: 'info' | 'error', said: string, facts: object) => void;
}

const lookMs = 10_000;
const againMs = 1_000;
/** Below no root: what only an etcd shows us that asks nobody who they are. */
const elsewhere = 'cometmq users';
const superName = 'root';

export class EtcdUsers implements Component {
  readonly name = 'users of etcd';
  private timer: Timer | undefined;
  private under: Promise<void> = Promise.resolve();
  private stopped = false;
  private readonly failures: ToldOnce;

  constructor(private readonly options: EtcdUsersOptions) {
    const said = 'the users of etcd are not as they should be; trying again';
    this.failures = new ToldOnce((caught) => options.tell('error', said, failureFacts(caught)));
  }

  /** What can't be done yet is tried again: it is for who uses etcd to wait for it. */
  async start(): Promise<void> {
    await this.look();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.under;
  }

  private async look(): Promise<void> {
    let afterMs = lookMs;
    try {
      const { address } = this.options;
      const now = address();
      const user = userIn(now);
      if (await this.asksNobody(now)) {
        await this.ask(now, user);
        this.options.tell('info', 'etcd asks who calls: each may read and write its own keys alone', { user });
      }
      this.failures.over();
    } catch (caught) {
      afterMs = againMs;
      // That it is away others say, who need it.
      if (MqError.from(caught).code !== 'UNAVAILABLE') this.failures.failed(caught);
    }
    if (this.stopped) return;
    this.timer = this.options.clock.after(afterMs, () => {
      this.under = this.look();
    });
  }

  /** True where we may read what is not ours, or nothing at all. */
  private async asksNobody(address: EtcdAddress): Promise<boolean> {
    const client = new EtcdClient(address, this.options.clock);
    try {
      await client.get(this.options.root).string();
      await client.get(elsewhere).string();
      return true;
    } catch (caught) {
      const error = etcdError(caught, address);
      if (error.code !== 'CONFIG' && !/user name is empty|auth/.test(error.reason)) throw error;
      return !(await this.readsOwn(client));
    } finally {
      client.close();
    }
  }

  private readsOwn(client: EtcdClient): Promise<boolean> {
    return client
      .get(this.options.root)
      .string()
      .then(
        () => true,
        () => false,
      );
  }

  /** All of it may be there already, by another name server or from before. @throws MqError CONFIG, UNAVAILABLE */
  private async ask(address: EtcdAddress, user: string): Promise<void> {
    const secret = this.options.password().trim();
    if (secret === '') throw new MqError('CONFIG', 'the file of the password of root in etcd is empty');
    const asRoot = { ...address, user: { name: superName, password: secret } };
    if (await this.setUpAsRoot(asRoot, user)) return;
    try {
      await this.begin(address, user, secret);
    } catch (caught) {
      // Another name server may have been quicker: since then only root can.
      if (!(await this.setUpAsRoot(asRoot, user))) throw etcdError(caught, address);
    }
  }

  /** False: etcd asks nobody yet, so there is no root to be. @throws MqError CONFIG, UNAVAILABLE */
  private async setUpAsRoot(asRoot: EtcdAddress, user: string): Promise<boolean> {
    const client = new EtcdClient(asRoot, this.options.clock);
    try {
      await setUp(client, this.options.root, user);
      return true;
    } catch (caught) {
      if (said(caught).includes('authentication is not enabled')) return false;
      throw etcdError(caught, asRoot);
    } finally {
      client.close();
    }
  }

  private async begin(address: EtcdAddress, user: string, secret: string): Promise<void> {
    const client = new EtcdClient(address, this.options.clock);
    try {
      await setUp(client, this.options.root, user);
      await client.role(superName).create().catch(unlessThere);
      const root = client.user(superName);
      // One that is there from before has a password that nobody knows here.
      await root.create(secret).catch((caught: unknown) => {
        unlessThere(caught);
        return root.setPassword(secret);
      });
      await root.addRole(superName).catch(unlessThere);
      await client.auth.authEnable();
    } finally {
      client.close();
    }
  }
}

async function setUp(client: EtcdClient, root: string, user: string): Promise<void> {
  const role = client.role(user);
  await role.create().catch(unlessThere);
  await role.grant({ permission: 'Readwrite', range: Range.prefix(root) });
  const made = client.user(user);
  // Nobody is let in by it: the certificate is what counts.
  await made.create(randomBytes(32).toString('base64')).catch(unlessThere);
  await made.addRole(user).catch(unlessThere);
}

const said = (caught: unknown): string => (caught instanceof Error ? caught.message : String(caught));

function unlessThere(caught: unknown): void {
  if (!said(caught).includes('already exists')) throw caught;
}

/** @throws MqError CONFIG where a certificate says no name */
function userIn({ tls }: EtcdAddress): string {
  const subject = tls?.cert ? new X509Certificate(tls.cert).subject : '';
  const [, name] = /^CN=(.+)$/m.exec(subject ?? '') ?? [];
  if (name !== undefined && name !== superName) return name;
  throw new MqError(
    'CONFIG',
    'the certificate shown to etcd has no common name (CN), by which etcd knows its user: it needs one such as namesrv.cometmq.internal',
  );
}
