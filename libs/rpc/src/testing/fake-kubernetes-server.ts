/**
 * The API of Kubernetes in memory, over TLS on a free port of this machine: objects with versions, lists in pages, watches with
 * bookmarks, merge patches with preconditions, the status apart, finalizers. What `kubernetesContract` asks of it is what a real
 * one does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';

import { systemClock, type Clock } from '@cometmq/shared';

import {
  fieldOf,
  isObject,
  podKubernetesApi,
  type KubernetesObject,
  type WatchingKubernetesApi,
} from '../kubernetes/kubernetes-api.js';
import { certifiedBy, newAuthority } from '../tls/authority.js';
import { merged } from './fake-kubernetes.js';

interface Kept {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  readonly collection: string;
  readonly object: KubernetesObject;
}
interface Watch {
  readonly collection: string;
  readonly response: ServerResponse;
}
interface Answer {
  readonly status: number;
  readonly body: object;
}

export class FakeKubernetesServer {
  readonly namespace = 'mq';
  /** By collection and name: `/apis/…/comettopics` → `orders` → object. Collections that are not here are not known. */
  readonly collections = new Map<string, Map<string, KubernetesObject>>();
  /** What was asked, as `GET /path`, in order; watches too. */
  readonly asked: string[] = [];
  /** Set: every request that it names is refused with this status. */
  refuse: { readonly path: RegExp; readonly method?: string; readonly status: number } | undefined;
  private readonly watches = new Set<Watch>();
  private history: Kept[] = [];
  private forgotten = 0;
  private version = 100;
  private names = 0;
  private authority = '';

  private constructor(private readonly server: Server) {}

  /** @param collections that it knows: their paths */
  static async start(collections: readonly string[]): Promise<FakeKubernetesServer> {
    const wallMs = systemClock.wallMs();
    const authority = await newAuthority('kubernetes', wallMs);
    const { certPem: cert, keyPem: key } = await certifiedBy(authority, { names: ['localhost'], wallMs });
    const server = createServer({ cert, key });
    const fake = new FakeKubernetesServer(server);
    fake.authority = authority.certPem;
    for (const path of collections) fake.collections.set(path, new Map());
    server.on('request', (request, response) => fake.serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  /** What a pod asks it by. */
  api(clock: Clock = systemClock): WatchingKubernetesApi {
    const files = { token: 'token', namespace: this.namespace, 'ca.crt': this.authority };
    const { port } = this.server.address() as AddressInfo;
    return podKubernetesApi((name) => files[name], clock, { host: 'localhost', port });
  }

  async stop(): Promise<void> {
    this.endWatches();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** As a proxy between does that has had enough: the connections of all watches end in the middle. */
  endWatches(): void {
    for (const { response } of this.watches) response.destroy();
    this.watches.clear();
  }

  /** What happened until now is not remembered any more: who asks for it has to list again. */
  forgetHistory(): void {
    this.history = [];
    this.forgotten = this.version;
  }

  /** All watches are told how far they have got. */
  bookmark(): void {
    const object = { metadata: { resourceVersion: String(this.version) } };
    for (const { response } of this.watches) response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  get watchCount(): number {
    return this.watches.size;
  }

  object(collection: string, name: string): KubernetesObject | undefined {
    return this.collections.get(collection)?.get(name);
  }

  /** As somebody with kubectl does. @returns what it answers */
  do(method: 'POST' | 'PATCH' | 'DELETE', path: string, body: object = {}): Answer {
    const [collection, name, sub] = placeOf(path, this.collections);
    const objects = this.collections.get(collection);
    if (!objects) return refusal(404, 'the server could not find the requested resource');
    if (method === 'POST') return this.create(collection, objects, body as KubernetesObject);
    const found = objects.get(name);
    if (!found) return refusal(404, `"${name}" not found`);
    if (method === 'DELETE') return this.delete(collection, objects, name, found);
    return this.patch(collection, objects, name, found, body as KubernetesObject, sub);
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const { method = '' } = request;
      const { pathname, searchParams } = new URL(request.url ?? '', 'https://kubernetes');
      this.asked.push(`${method} ${request.url ?? ''}`);
      const { refuse } = this;
      if (refuse?.path.test(pathname) && (refuse.method ?? method) === method) {
        return send(response, refusal(refuse.status, 'refused'));
      }
      if (method !== 'GET') return send(response, this.do(method as 'POST', pathname, JSON.parse(text) as object));
      const [collection, name] = placeOf(pathname, this.collections);
      const objects = this.collections.get(collection);
      if (!objects) return send(response, refusal(404, 'the server could not find the requested resource'));
      if (name !== '') {
        const object = objects.get(name);
        return send(response, object ? { status: 200, body: object } : refusal(404, `"${name}" not found`));
      }
      if (searchParams.get('watch') !== null) return this.watch(collection, searchParams, response);
      send(response, this.list(objects, searchParams));
    });
  }

  private list(objects: ReadonlyMap<string, KubernetesObject>, query: URLSearchParams): Answer {
    const limit = Number(query.get('limit') ?? 0) || Infinity;
    // As of the version of the first page.
    const [version = String(this.version), from = '0'] = (query.get('continue') ?? '').split('/').filter(Boolean);
    if (Number(version) < this.forgotten) return refusal(410, 'The provided continue parameter is too old');
    const selector = query.get('labelSelector') ?? '';
    const all = [...objects.values()].filter((object) => isSelected(object, selector));
    const end = Number(from) + limit;
    const metadata = { resourceVersion: version, ...(end < all.length && { continue: `${version}/${end}` }) };
    return { status: 200, body: { metadata, items: all.slice(Number(from), end) } };
  }

  private watch(collection: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (from < this.forgotten) {
      const { body } = refusal(410, `too old resource version: ${from}`);
      response.end(`${JSON.stringify({ type: 'ERROR', object: body })}\n`);
      return;
    }
    const watch = { collection, response };
    for (const kept of this.history) if (kept.version > from) tell(watch, kept);
    this.watches.add(watch);
    response.once('close', () => this.watches.delete(watch));
  }

  private create(collection: string, objects: Map<string, KubernetesObject>, given: KubernetesObject): Answer {
    const metadata = metadataOf(given);
    const { name = `${String(metadata['generateName'])}${(this.names += 1)}` } = metadata as { readonly name?: string };
    if (objects.has(name)) return refusal(409, `"${name}" already exists`);
    const { status: _status, ...rest } = given;
    const object = {
      ...rest,
      metadata: {
        ...metadata,
        ...{ name, namespace: this.namespace, uid: `uid-${(this.names += 1)}`, generation: 1 },
        creationTimestamp: new Date(systemClock.wallMs()).toISOString(),
      },
    };
    return { status: 201, body: this.put('ADDED', collection, objects, name, object) };
  }

  private patch(
    collection: string,
    objects: Map<string, KubernetesObject>,
    name: string,
    found: KubernetesObject,
    change: KubernetesObject,
    sub: string,
  ): Answer {
    const wanted = fieldOf(change, 'metadata', 'resourceVersion');
    if (wanted !== undefined && wanted !== fieldOf(found, 'metadata', 'resourceVersion')) {
      return refusal(409, `Operation cannot be fulfilled on "${name}": the object has been modified`);
    }
    const next = merged(found, change);
    const [spec, metadata] = [next['spec'], metadataOf(next)];
    if (sub === 'status') {
      const object = { ...found, status: next['status'] };
      return { status: 200, body: this.put('MODIFIED', collection, objects, name, object) };
    }
    const isChanged = JSON.stringify(spec) !== JSON.stringify(found['spec']);
    const generation = Number(metadata['generation']) + Number(isChanged);
    const object = { ...next, status: found['status'], metadata: { ...metadata, generation } };
    if (metadata['deletionTimestamp'] !== undefined && finalizersOf(object).length === 0) {
      objects.delete(name);
      return { status: 200, body: this.put('DELETED', collection, undefined, name, object) };
    }
    return { status: 200, body: this.put('MODIFIED', collection, objects, name, object) };
  }

  private delete(
    collection: string,
    objects: Map<string, KubernetesObject>,
    name: string,
    found: KubernetesObject,
  ): Answer {
    if (finalizersOf(found).length === 0) {
      objects.delete(name);
      return { status: 200, body: this.put('DELETED', collection, undefined, name, found) };
    }
    const metadata = metadataOf(found);
    const deletionTimestamp = metadata['deletionTimestamp'] ?? new Date(systemClock.wallMs()).toISOString();
    const object = { ...found, metadata: { ...metadata, deletionTimestamp } };
    return { status: 200, body: this.put('MODIFIED', collection, objects, name, object) };
  }

  private put(
    type: Kept['type'],
    collection: string,
    objects: Map<string, KubernetesObject> | undefined,
    name: string,
    given: KubernetesObject,
  ): KubernetesObject {
    const version = (this.version += 1);
    const metadata = { ...metadataOf(given), resourceVersion: String(version) };
    const object = JSON.parse(JSON.stringify({ ...given, metadata })) as KubernetesObject;
    objects?.set(name, object);
    const kept: Kept = { type, version, collection, object };
    this.history.push(kept);
    for (const watch of this.watches) tell(watch, kept);
    return object;
  }
}

function tell({ collection, response }: Watch, { type, object, ...kept }: Kept): void {
  if (collection === kept.collection) response.write(`${JSON.stringify({ type, object })}\n`);
}

/** The longest collection that the path begins with, the object's name, and what of it. */
function placeOf(path: string, collections: ReadonlyMap<string, unknown>): [string, string, string] {
  for (const collection of collections.keys()) {
    if (path !== collection && !path.startsWith(`${collection}/`)) continue;
    const [name = '', sub = ''] = path.slice(collection.length + 1).split('/');
    return [collection, name, sub];
  }
  return ['', '', ''];
}

/** By a selector of equals: `a=b,c=d`. */
function isSelected(object: KubernetesObject, selector: string): boolean {
  return selector
    .split(',')
    .filter(Boolean)
    .every((one) => {
      const at = one.indexOf('=');
      return fieldOf(object, 'metadata', 'labels', one.slice(0, at)) === one.slice(at + 1);
    });
}

function metadataOf(object: KubernetesObject): KubernetesObject {
  const metadata = object['metadata'];
  return isObject(metadata) ? metadata : {};
}

function finalizersOf(object: KubernetesObject): readonly unknown[] {
  const finalizers = fieldOf(object, 'metadata', 'finalizers');
  return Array.isArray(finalizers) ? finalizers : [];
}

function refusal(code: number, message: string): Answer {
  return { status: code, body: { kind: 'Status', status: 'Failure', code, message } };
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
