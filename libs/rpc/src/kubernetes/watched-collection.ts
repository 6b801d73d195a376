/**
 * The objects of one collection of Kubernetes as they are now: listed in pages, then followed by a watch from the list's version
 * on. A watch that ends is taken up where it was; one whose version is forgotten begins with a new list; what fails waits longer
 * each time.
 */
import { MqError, sleep, type Chance, type Clock } from '@cometmq/shared';

import { fieldOf, isObject, type KubernetesObject, type WatchingKubernetesApi } from './kubernetes-api.js';

export interface WatchedCollectionOptions {
  readonly kubernetes: WatchingKubernetesApi;
  /** For instance `/apis/cometmq.io/v1alpha1/namespaces/mq/comettopics`. */
  readonly path: string;
  readonly clock: Clock;
  readonly chance: Chance;
  /** More objects than this are an error, so that nobody fills this process's memory by making them. */
  readonly objectsMax: number;
  /** An object is there, is another than before, or (undefined) is there no more. Must not throw. */
  readonly tell: (name: string, object: KubernetesObject | undefined) => void;
  /** Each failure, with how long it waits for the next attempt. */
  readonly failed: (error: MqError, waitMs: number) => void;
}

const pageObjects = 500;
const waitMsMin = 500;
const waitMsMax = 30_000;
/** The server ends a watch after so long, and it is taken up again. */
const watchSeconds = 300;

export class WatchedCollection {
  private readonly objects = new Map<string, KubernetesObject>();
  private version: string | undefined;
  private isWhole = false;

  constructor(private readonly options: WatchedCollectionOptions) {}

  /** False: it has not been listed yet. */
  get listed(): boolean {
    return this.isWhole;
  }

  get(name: string): KubernetesObject | undefined {
    return this.objects.get(name);
  }

  all(): IterableIterator<KubernetesObject> {
    return this.objects.values();
  }

  /** What a write has answered is known at once; the watch tells it later. */
  put(object: KubernetesObject): void {
    const name = nameOf(object);
    if (this.objects.has(name)) this.objects.set(name, slim(object));
  }

  /** Until `stop` is aborted. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock, chance, failed } = this.options;
    let failures = 0;
    while (!stop.aborted) {
      try {
        if (this.version === undefined) await this.list(stop);
        const sinceMs = clock.monotonicMs();
        if (!stop.aborted) await this.follow(stop);
        failures = 0;
        // A server that ends each watch at once is not asked in a tight loop.
        if (clock.monotonicMs() - sinceMs < waitMsMin) await pause(clock, waitMsMin, stop);
      } catch (caught) {
        const error = MqError.from(caught);
        if (stop.aborted) return;
        if (error.code !== 'UNAVAILABLE') this.version = undefined;
        const waitMs = Math.min(waitMsMax, waitMsMin * 2 ** Math.min(failures, 10)) * (0.5 + chance.next() / 2);
        failures += 1;
        failed(error, waitMs);
        await pause(clock, waitMs, stop);
      }
    }
  }

  private async list(stop: AbortSignal): Promise<void> {
    const { kubernetes, path, objectsMax, tell } = this.options;
    const found = new Map<string, KubernetesObject>();
    let version: unknown;
    for (let next = ''; !stop.aborted;) {
      const query = `limit=${pageObjects}${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`;
      const page = await kubernetes.get(`${path}?${query}`);
      if (!page) throw new MqError('NOT_FOUND', `Kubernetes knows no ${path.slice(path.lastIndexOf('/') + 1)}`);
      const { items } = page;
      for (const item of Array.isArray(items) ? items : []) if (isObject(item)) found.set(nameOf(item), slim(item));
      if (found.size > objectsMax) throw tooMany(path, objectsMax);
      version = fieldOf(page, 'metadata', 'resourceVersion');
      const more = fieldOf(page, 'metadata', 'continue');
      if (typeof more !== 'string' || more === '') break;
      next = more;
    }
    if (stop.aborted) return;
    if (typeof version !== 'string') throw new MqError('UNAVAILABLE', 'a list of Kubernetes has no version');
    for (const name of [...this.objects.keys()]) if (!found.has(name)) this.drop(name);
    for (const [name, object] of found) this.objects.set(name, object);
    this.version = version;
    this.isWhole = true;
    for (const [name, object] of found) tell(name, object);
  }

  private async follow(stop: AbortSignal): Promise<void> {
    const { kubernetes, path, objectsMax, tell } = this.options;
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${this.version ?? ''}`;
    const overflow = new AbortController();
    const end = await kubernetes.watch(
      `${path}?${query}`,
      ({ type, object }) => {
        const version = fieldOf(object, 'metadata', 'resourceVersion');
        if (typeof version === 'string') this.version = version;
        if (type === 'BOOKMARK') return;
        const name = nameOf(object);
        if (type === 'DELETED') return this.drop(name);
        if (this.objects.size >= objectsMax && !this.objects.has(name)) {
          overflow.abort();
          return;
        }
        const kept = slim(object);
        this.objects.set(name, kept);
        tell(name, kept);
      },
      AbortSignal.any([stop, overflow.signal]),
    );
    if (overflow.signal.aborted) throw tooMany(path, objectsMax);
    if (end === 'expired') this.version = undefined;
  }

  private drop(name: string): void {
    this.objects.delete(name);
    this.options.tell(name, undefined);
  }
}

function tooMany(path: string, max: number): MqError {
  return new MqError('FORBIDDEN', `there are more than ${max} ${path.slice(path.lastIndexOf('/') + 1)}`);
}

function nameOf(object: KubernetesObject): string {
  return String(fieldOf(object, 'metadata', 'name'));
}

/** Without who changed which field when: often more than all else. */
function slim(object: KubernetesObject): KubernetesObject {
  const { metadata } = object;
  if (!isObject(metadata)) return object;
  const { managedFields: _managedFields, ...rest } = metadata;
  return { ...object, metadata: rest };
}

/** Ends early when `stop` is aborted. */
async function pause(clock: Clock, ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  let woken = (): void => undefined;
  const aborted = new Promise<void>((resolve) => (woken = resolve));
  stop.addEventListener('abort', woken);
  await Promise.race([sleep(clock, ms), aborted]);
  stop.removeEventListener('abort', woken);
}
