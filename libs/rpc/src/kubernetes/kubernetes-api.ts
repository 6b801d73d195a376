/** The few things that our programs ask of the Kubernetes they run in, as the service account of their pod. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:https';

import { MqError, type Clock, type Timer } from '@cometmq/shared';

export interface KubernetesApi {
  /** The namespace of this pod. */
  readonly namespace: string;
  /**
   * @param path for instance `/apis/apps/v1/namespaces/mq/statefulsets/one`
   * @returns undefined: there is no such object
   * @throws MqError UNAUTHORIZED where the service account itself is not known (any more), FORBIDDEN, UNAVAILABLE
   */
  get(path: string): Promise<KubernetesObject | undefined>;
  /**
   * A merge patch: what it names is written, null is taken out. One that names `metadata.resourceVersion` is refused with
   * CONFLICT where the object has changed since.
   * @returns the object as it is now
   */
  patch(path: string, change: object): Promise<KubernetesObject>;
  create(path: string, object: object): Promise<void>;
}

export interface WatchingKubernetesApi extends KubernetesApi {
  /**
   * Follows the objects of a collection, until the server has had enough of it or `stop` is aborted; neither is an error.
   * @param path of the collection, with its query
   * @returns expired: so old a version is not remembered any more; the collection is to be listed again
   * @throws MqError as `get`, and NOT_FOUND
   */
  watch(path: string, tell: (event: WatchEvent) => void, stop: AbortSignal): Promise<'ended' | 'expired'>;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubernetesObject;
}

/** Whatever it is; each field is looked at before it is believed. */
export type KubernetesObject = Readonly<Record<string, unknown>>;

const requestMsMax = 5_000;
const answerBytesMax = 8 * 1024 * 1024;
/** The server says at least once a minute where a watch has got to: one that is silent for longer leads nowhere. */
const watchSilenceMsMax = 150_000;
const gone = 410;

/** @param readFile of what the kubelet keeps for the pod: `token` (renewed all the time), `ca.crt` and `namespace` */
export function podKubernetesApi(
  readFile: (name: 'token' | 'ca.crt' | 'namespace') => string,
  clock: Clock,
  server: { readonly host: string; readonly port: number } = { host: 'kubernetes.default.svc', port: 443 },
): WatchingKubernetesApi {
  const open = (
    method: string,
    path: string,
    type: string,
    answered: (answer: IncomingMessage) => void,
  ): ClientRequest =>
    request(
      {
        ...server,
        ...{ method, path, ca: readFile('ca.crt'), agent: false },
        headers: {
          authorization: `Bearer ${readFile('token').trim()}`,
          accept: 'application/json',
          'content-type': type,
        },
      },
      answered,
    );
  const call = (method: string, path: string, body?: object, type = 'application/json'): Promise<KubernetesObject> =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        timer.cancel();
        reject(errorOf(error));
      };
      const asked = open(method, path, type, (answer) => {
        readText(answer, asked, fail, (text) => {
          timer.cancel();
          const { statusCode = 0 } = answer;
          if (!isGood(statusCode)) return fail(refusal(statusCode, text));
          const object = objectIn(text);
          if (object) resolve(object);
          else fail(new MqError('UNAVAILABLE', 'Kubernetes answers what is no object'));
        });
      });
      const timer = clock.after(requestMsMax, () => asked.destroy(new MqError('UNAVAILABLE', unreachable)));
      asked.once('error', fail);
      asked.end(body && JSON.stringify(body));
    });
  const watch: WatchingKubernetesApi['watch'] = (path, tell, stop) =>
    new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const endAfter = (silentMs: number): void => {
        timer?.cancel();
        timer = clock.after(silentMs, () => asked.destroy(new MqError('UNAVAILABLE', unreachable)));
      };
      const over = (end: () => void): void => {
        timer?.cancel();
        stop.removeEventListener('abort', aborted);
        asked.destroy();
        end();
      };
      const fail = (error: unknown): void => over(() => (stop.aborted ? resolve('ended') : reject(errorOf(error))));
      const aborted = (): void => over(() => resolve('ended'));
      const asked = open('GET', path, 'application/json', (answer) => {
        const { statusCode = 0 } = answer;
        if (statusCode === gone) return over(() => resolve('expired'));
        if (!isGood(statusCode)) return readText(answer, asked, fail, (text) => fail(refusal(statusCode, text)));
        endAfter(watchSilenceMsMax);
        let rest = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          endAfter(watchSilenceMsMax);
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          if (rest.length > answerBytesMax) return fail(new MqError('UNAVAILABLE', answersTooMuch));
          for (const line of lines) {
            if (stop.aborted) return;
            if (line === '') continue;
            const event = objectIn(line);
            if (isEvent(event)) tell(event);
            else if (fieldOf(event, 'object', 'code') === gone) return over(() => resolve('expired'));
            else return fail(new MqError('UNAVAILABLE', `a watch of Kubernetes ends: ${reasonOf(event?.['object'])}`));
          }
        });
        answer.once('error', fail);
        answer.once('end', () => over(() => resolve('ended')));
      });
      asked.once('error', fail);
      stop.addEventListener('abort', aborted);
      endAfter(requestMsMax);
      asked.end();
      if (stop.aborted) aborted();
    });
  return {
    namespace: readFile('namespace').trim(),
    get: (path) =>
      call('GET', path).catch((caught: unknown) => {
        if (MqError.from(caught).code === 'NOT_FOUND') return undefined;
        throw caught;
      }),
    patch: (path, change) => call('PATCH', path, change, 'application/merge-patch+json'),
    create: async (path, object) => void (await call('POST', path, object)),
    watch,
  };
}

const unreachable = 'the API of Kubernetes does not answer';
/** More than is held in memory; a page of a list with fewer objects may do. */
export const answersTooMuch = 'Kubernetes answers too much';

function readText(
  answer: IncomingMessage,
  asked: ClientRequest,
  fail: (error: unknown) => void,
  done: (text: string) => void,
): void {
  let text = '';
  answer.setEncoding('utf8');
  answer.on('data', (chunk: string) => {
    text += chunk;
    if (text.length <= answerBytesMax) return;
    fail(new MqError('UNAVAILABLE', answersTooMuch));
    asked.destroy();
  });
  answer.once('error', fail);
  answer.once('end', () => done(text));
}

function isEvent(event: KubernetesObject | undefined): event is WatchEvent & KubernetesObject {
  const { type, object } = event ?? {};
  return typeof type === 'string' && ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'].includes(type) && isObject(object);
}

const isGood = (status: number): boolean => status >= 200 && status < 300;
const errorOf = (error: unknown): MqError =>
  error instanceof MqError ? error : new MqError('UNAVAILABLE', unreachable, { cause: error });
const refusal = (status: number, text: string): MqError =>
  new MqError(codeOf(status), `Kubernetes answers ${status}: ${reasonOf(objectIn(text))}`);

function codeOf(
  status: number,
): 'BAD_REQUEST' | 'UNAUTHORIZED' | 'FORBIDDEN' | 'NOT_FOUND' | 'CONFLICT' | 'UNAVAILABLE' {
  switch (status) {
    case 400:
    case 422:
      return 'BAD_REQUEST';
    case 401:
      return 'UNAUTHORIZED';
    case 403:
      return 'FORBIDDEN';
    case 404:
      return 'NOT_FOUND';
    case 409:
      return 'CONFLICT';
    default:
      return 'UNAVAILABLE';
  }
}

function objectIn(text: string): KubernetesObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf(status: unknown): string {
  const message = fieldOf(status, 'message');
  return typeof message === 'string' ? message.slice(0, 300) : 'no reason';
}

export function isObject(value: unknown): value is KubernetesObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field of a field of an object; undefined where there is none. */
export function fieldOf(object: unknown, ...names: readonly string[]): unknown {
  let value = object;
  for (const name of names) {
    if (!isObject(value)) return undefined;
    value = value[name];
  }
  return value;
}
