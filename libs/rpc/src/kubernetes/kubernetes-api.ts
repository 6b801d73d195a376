/** The few things that our programs ask of the Kubernetes they run in, as the service account of their pod. */
import { request } from 'node:https';

import { MqError, type Clock } from '@cometmq/shared';

export interface KubernetesApi {
  /** The namespace of this pod. */
  readonly namespace: string;
  /**
   * @param path for instance `/apis/apps/v1/namespaces/mq/statefulsets/one`
   * @returns undefined: there is no such object
   * @throws MqError UNAUTHORIZED where the service account itself is not known (any more), FORBIDDEN, UNAVAILABLE
   */
  get(path: string): Promise<KubernetesObject | undefined>;
  /** A merge patch: what it names is written, null is taken out. */
  patch(path: string, change: object): Promise<void>;
  create(path: string, object: object): Promise<void>;
}

/** Whatever it is; each field is looked at before it is believed. */
export type KubernetesObject = Readonly<Record<string, unknown>>;

const requestMsMax = 5_000;
const answerBytesMax = 8 * 1024 * 1024;

/** @param readFile of what the kubelet keeps for the pod: `token` (renewed all the time), `ca.crt` and `namespace` */
export function podKubernetesApi(
  readFile: (name: 'token' | 'ca.crt' | 'namespace') => string,
  clock: Clock,
  server: { readonly host: string; readonly port: number } = { host: 'kubernetes.default.svc', port: 443 },
): KubernetesApi {
  const call = (method: string, path: string, body?: object, type = 'application/json'): Promise<KubernetesObject> =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        timer.cancel();
        reject(error instanceof MqError ? error : new MqError('UNAVAILABLE', unreachable, { cause: error }));
      };
      const asked = request(
        {
          ...server,
          ...{ method, path, ca: readFile('ca.crt'), agent: false },
          headers: {
            authorization: `Bearer ${readFile('token').trim()}`,
            accept: 'application/json',
            'content-type': type,
          },
        },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => {
            text += chunk;
            if (text.length > answerBytesMax) asked.destroy(new MqError('UNAVAILABLE', 'Kubernetes answers too much'));
          });
          answer.once('error', fail);
          answer.once('end', () => {
            timer.cancel();
            const { statusCode = 0 } = answer;
            if (statusCode < 200 || statusCode >= 300) {
              fail(new MqError(codeOf(statusCode), `Kubernetes answers ${statusCode}: ${reasonIn(text)}`));
              return;
            }
            const object = objectIn(text);
            if (object) resolve(object);
            else fail(new MqError('UNAVAILABLE', 'Kubernetes answers what is no object'));
          });
        },
      );
      const timer = clock.after(requestMsMax, () => asked.destroy(new MqError('UNAVAILABLE', unreachable)));
      asked.once('error', fail);
      asked.end(body && JSON.stringify(body));
    });
  return {
    namespace: readFile('namespace').trim(),
    get: (path) =>
      call('GET', path).catch((caught: unknown) => {
        if (MqError.from(caught).code === 'NOT_FOUND') return undefined;
        throw caught;
      }),
    patch: async (path, change) => void (await call('PATCH', path, change, 'application/merge-patch+json')),
    create: async (path, object) => void (await call('POST', path, object)),
  };
}

const unreachable = 'the API of Kubernetes does not answer';

function codeOf(status: number): 'UNAUTHORIZED' | 'FORBIDDEN' | 'NOT_FOUND' | 'CONFLICT' | 'UNAVAILABLE' {
  switch (status) {
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

function reasonIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message.slice(0, 300);
  } catch {
    // Then it is no status of Kubernetes.
  }
  return 'no reason';
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
