/**
 * The objects of one collection of Kubernetes as they are now: listed in pages, then followed by a watch from the list's version
 * on. A watch that ends is taken up where it was; one whose version is forgotten begins with a new list; what fails waits longer
 * each time.
 */
import { MqError, sleep, type Chance, type Clock } from '@cometmq/shared';

import {
  answersTooMuch,
  fieldOf,
  isObject,
  type KubernetesObject,
  type WatchingKubernetesApi,
} from './kubernetes-api.js';

export interface WatchedCollectionOptions {
  readonly kubernetes: WatchingKubernetesApi;
  /** For instance `/apis/cometmq.io/v1alpha1/namespaces/mq/comettopics`. */
  readonly path: string;
  readonly clock: Clock;
  readonly chance: Chance;
  /** More objects than this, or larger ones in all, are an error: nobody fills this process's memory by making them. */
  readonly objectsMax: number;
  readonly bytesMax: number;
  /** An object is there, is another than before, or (undefined) is there no more. Must not throw. */
  readonly tell: (name: string, object: KubernetesObject | undefined) => void;
  /** Each failure, with how long it waits for the next attempt. */
  readonly failed: (error: MqError, waitMs: number) => void;
  /** It is listed or followed again after it had failed. */
  readonly works?: () => void;
}

const pageObjectsMax = 500;
const waitMsMin = 500;
const waitMsMax = 30_000;
/** The server ends a watch after so long, and it is taken up again. */
const watchSeconds = 300;

export class WatchedCollection {
  private readonly objects = new Map<string, KubernetesObject>();
  private readonly sizes = new Map<string, number>();
  private bytes = 0;
  private version: string | undefined;
  private isWhole = false;
  private failing = false;

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
    if (this.objects.has(name) && !this.isOld(name, object)) this.keep(name, slim(object));
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
        if (!stop.aborted) this.goesOn();
        failures = 0;
        // A server that ends each watch at once is not asked in a tight loop.
        if (clock.monotonicMs() - sinceMs < waitMsMin) await pause(clock, waitMsMin, stop);
      } catch (caught) {
        const error = MqError.from(caught);
        if (stop.aborted) return;
        if (error.code !== 'UNAVAILABLE') this.version = undefined;
        const waitMs = Math.min(waitMsMax, waitMsMin * 2 ** Math.min(failures, 10)) * (0.5 + chance.next() / 2);
        failures += 1;
        this.failing = true;
        failed(error, waitMs);
        await pause(clock, waitMs, stop);
      }
    }
  }

  private async list(stop: AbortSignal): Promise<void> {
    const found = new Map<string, KubernetesObject>();
    let version: unknown;
    for (let next: string | undefined = ''; next !== undefined && !stop.aborted;) {
      const page = await this.page(next);
      const { items } = page;
      for (const item of Array.isArray(items) ? items : []) if (isObject(item)) found.set(nameOf(item), slim(item));
      if (found.size > this.options.objectsMax) throw this.tooMuch();
      version = fieldOf(page, 'metadata', 'resourceVersion');
      const more = fieldOf(page, 'metadata', 'continue');
      next = typeof more === 'string' && more !== '' ? more : undefined;
    }
    if (stop.aborted) return;
    if (typeof version !== 'string') throw new MqError('UNAVAILABLE', 'a list of Kubernetes has no version');
    for (const name of [...this.objects.keys()]) if (!found.has(name)) this.drop(name);
    for (const [name, object] of found) {
      if (this.isOld(name, object)) found.delete(name);
      else if (!this.keep(name, object)) throw this.tooMuch();
    }
    this.version = version;
    this.isWhole = true;
    this.goesOn();
    for (const [name, object] of found) this.options.tell(name, object);
  }

  /** Objects may be so large that a page of them is not taken: then it is a smaller one. */
  private async page(from: string): Promise<KubernetesObject> {
    const { kubernetes, path } = this.options;
    for (let limit = pageObjectsMax; ; limit = Math.ceil(limit / 4)) {
      const query = `limit=${limit}${from === '' ? '' : `&continue=${encodeURIComponent(from)}`}`;
      try {
        const page = await kubernetes.get(`${path}?${query}`);
        if (page) return page;
        throw new MqError('NOT_FOUND', `Kubernetes knows no ${this.plural}`);
      } catch (caught) {
        if (limit === 1 || MqError.from(caught).reason !== answersTooMuch) throw caught;
      }
    }
  }

  private async follow(stop: AbortSignal): Promise<void> {
    const { kubernetes, path, tell } = this.options;
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${this.version ?? ''}`;
    const overflow = new AbortController();
    const end = await kubernetes.watch(
      `${path}?${query}`,
      ({ type, object }) => {
        const version = fieldOf(object, 'metadata', 'resourceVersion');
        if (typeof version === 'string') this.version = version;
        this.goesOn();
        if (type === 'BOOKMARK') return;
        const name = nameOf(object);
        if (this.isOld(name, object)) return; // A write has answered with a newer one before.
        if (type === 'DELETED') return this.drop(name);
        const kept = slim(object);
        if (this.keep(name, kept)) tell(name, kept);
        else overflow.abort();
      },
      AbortSignal.any([stop, overflow.signal]),
    );
    if (overflow.signal.aborted) throw this.tooMuch();
    if (end === 'expired') this.version = undefined;
  }

  /** @returns false: there is no room for it */
  private keep(name: string, object: KubernetesObject): boolean {
    const { objectsMax, bytesMax } = this.options;
    const before = this.sizes.get(name) ?? 0;
    const size = 2 * JSON.stringify(object).length;
    if (this.bytes - before + size > bytesMax) return false;
    if (this.objects.size >= objectsMax && !this.objects.has(name)) return false;
    this.bytes += size - before;
    this.sizes.set(name, size);
    this.objects.set(name, object);
    return true;
  }

  /** Whether a newer one of that name is known. Versions of one collection are numbers that grow; of others nobody can tell. */
  private isOld(name: string, object: KubernetesObject): boolean {
    const [known, given] = [this.objects.get(name), object].map((one) => versionOf(one));
    return known !== undefined && given !== undefined && given < known;
  }

  private goesOn(): void {
    if (!this.failing) return;
    this.failing = false;
    this.options.works?.();
  }

  private get plural(): string {
    return this.options.path.slice(this.options.path.lastIndexOf('/') + 1);
  }

  private tooMuch(): MqError {
    const { objectsMax, bytesMax } = this.options;
    return new MqError(
      'FORBIDDEN',
      `there are more than ${objectsMax} ${this.plural}, or they take more than ${bytesMax} bytes`,
    );
  }

  private drop(name: string): void {
    this.bytes -= this.sizes.get(name) ?? 0;
    this.sizes.delete(name);
    this.objects.delete(name);
    this.options.tell(name, undefined);
  }
}

function nameOf(object: KubernetesObject): string {
  return String(fieldOf(object, 'metadata', 'name'));
}

function versionOf(object: KubernetesObject | undefined): bigint | undefined {
  const version = object && fieldOf(object, 'metadata', 'resourceVersion');
  return typeof version === 'string' && /^\d{1,20}$/.test(version) ? BigInt(version) : undefined;
}

/** Without who changed which field when, and what kubectl notes of itself: often more than all else. */
function slim(object: KubernetesObject): KubernetesObject {
  const { metadata } = object;
  if (!isObject(metadata)) return object;
  const { managedFields: _managedFields, annotations, ...rest } = metadata;
  if (!isObject(annotations)) return { ...object, metadata: rest };
  const { [lastApplied]: _lastApplied, ...others } = annotations;
  return { ...object, metadata: { ...rest, annotations: others } };
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** Ends early when `stop` is aborted. */
async function pause(clock: Clock, ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  let woken = (): void => undefined;
  const aborted = new Promise<void>((resolve) => (woken = resolve));
  stop.addEventListener('abort', woken);
  await Promise.race([sleep(clock, ms), aborted]);
  stop.removeEventListener('abort', woken);
}
