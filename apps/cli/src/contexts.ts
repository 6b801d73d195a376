import { join } from 'node:path';
import { hostAndPort, MqError } from '@cometmq/shared';

import type { World } from './world.js';

/** Where a cluster is: its REST API and its proxies. */
export interface Context {
  readonly api: string;
  /** host:port of the clients' gRPC. */
  readonly endpoint: string;
  readonly tls: boolean;
  /** A file of authorities to believe; Node.js' own if left out. */
  readonly ca?: string;
  /** Who asks, where the cluster has users. The file is for its owner's eyes only. */
  readonly user?: string;
  readonly secret?: string;
  /** What the last login gave; without a user's secret, one by an identity provider. */
  readonly token?: { readonly value: string; readonly untilMs: number };
}

export const localContext: Context = { api: 'http://127.0.0.1:8082', endpoint: '127.0.0.1:8081', tls: false };

const namePattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

/**
 * Named clusters, a JSON file each: <config>/cometmq/contexts/<name>.json, and the name of the one in use in
 * <config>/cometmq/current, where <config> is $XDG_CONFIG_HOME or ~/.config.
 */
export class Contexts {
  private readonly folder: string;

  constructor(private readonly world: World) {
    const { XDG_CONFIG_HOME: config, HOME: home, APPDATA: appData } = world.env;
    this.folder = join(config || (home ? join(home, '.config') : (appData ?? '.')), 'cometmq');
  }

  names(): readonly string[] {
    return this.world.files
      .list(join(this.folder, 'contexts'))
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.slice(0, -'.json'.length))
      .sort();
  }

  current(): string | undefined {
    const name = textOf(this.world.files.read(join(this.folder, 'current')))?.trim();
    return name === '' ? undefined : name;
  }

  /** @throws MqError NOT_FOUND, CONFIG when the file can't be understood. */
  get(name: string): Context {
    const path = this.path(name);
    const text = textOf(this.world.files.read(path));
    if (text === undefined) {
      throw new MqError('NOT_FOUND', `there is no context "${name}"; "comet context ls" shows those there are`);
    }
    return understood(text, path);
  }

  put(name: string, context: Context): void {
    this.world.files.write(this.path(name), `${JSON.stringify(context, undefined, 2)}\n`);
  }

  use(name: string): void {
    this.get(name);
    this.world.files.write(join(this.folder, 'current'), `${name}\n`);
  }

  remove(name: string): void {
    this.get(name);
    this.world.files.remove(this.path(name));
    if (this.current() === name) this.world.files.remove(join(this.folder, 'current'));
  }

  private path(name: string): string {
    if (!namePattern.test(name)) {
      throw new MqError('CONFIG', `context name "${name}": 1 to 64 letters, digits, ".", "_" and "-" are allowed`);
    }
    return join(this.folder, 'contexts', `${name}.json`);
  }
}

function understood(text: string, path: string): Context {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw new MqError('CONFIG', `${path}: is not JSON`);
  }
  const { api, endpoint, tls, ca, user, secret, token } = { ...localContext, ...(given as Partial<Context>) };
  return {
    ...{ api: apiUrl(api), endpoint: hostPort(endpoint), tls: Boolean(tls), ...(ca !== undefined && { ca }) },
    ...(user !== undefined && secret !== undefined && { user, secret }),
    ...(token && { token }),
  };
}

/** @throws MqError CONFIG */
export function apiUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new MqError('CONFIG', `--api ${text}: must be a URL like ${localContext.api}`);
  }
  return text.replace(/\/+$/, '');
}

/** @throws MqError CONFIG */
export function hostPort(text: string): string {
  if (!hostAndPort(text)) {
    throw new MqError('CONFIG', `--endpoint ${text}: must be host:port, like ${localContext.endpoint}`);
  }
  return text;
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('utf8');
}
