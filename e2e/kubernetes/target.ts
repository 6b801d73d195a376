/**
 * The cluster to install on: any, by KUBECONFIG, or one that a `kube` program starts on this machine (COMETMQ_KUBE, or on
 * the PATH), which understands `up`, `down`, `image NAME FOLDER …`, `node-kill N`, `node-start N`, `node-cut N`, `node-join N`, `exec-host COMMAND …`,
 * `kubectl …` and `helm …`.
 */
import { find } from '../../tools/debian/ensure.mjs';
import { ensureHelm } from '../../tools/helm/ensure.mjs';
import { runtimePackages, unpack } from '../../tools/image/debian.ts';
import { downloads, makeRootFolder, running } from '../../tools/image/root-folder.ts';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempt, must } from './run.ts';

export interface Tool {
  readonly file: string;
  readonly before: readonly string[];
}

export interface Target {
  readonly kubectl: Tool;
  readonly helm: Tool;
  /** Runs a program where nodes are reached by their addresses, and pods are not. */
  readonly outside: Tool;
  /**
   * Makes it ready, and gives the chart's values that belong to it.
   * @param asLoaded with the images that are there
   */
  up(say: (line: string) => void, asLoaded: boolean): readonly string[];
  down(): void;
  /** Power off and on, cable out and in; undefined: not this program's to do. */
  readonly node?: (what: 'kill' | 'start' | 'cut' | 'join', name: string) => void;
  /** The cluster's DNS goes away and comes back; undefined: not this program's to do. */
  readonly dns?: (what: 'away' | 'back') => void;
  /** An image with drivers of official clients in other languages; undefined: nobody has made one. */
  readonly languagesImage: string | undefined;
  /** Loads the image of another version, made of its sources, and gives its values. */
  readonly load?: (source: string, tag: string) => readonly string[];
}

export function chooseTarget(source: string, nodes: number): Target {
  const kube = process.env['COMETMQ_KUBE'] ?? find('kube');
  if (process.env['KUBECONFIG'] !== undefined) return givenCluster();
  if (kube !== undefined) return ownCluster(kube, source, nodes);
  throw new Error('no cluster: set KUBECONFIG, or COMETMQ_KUBE to a program that starts one');
}

function givenCluster(): Target {
  const { helm, kubectl } = ensureHelm();
  return {
    helm: { file: helm, before: [] },
    kubectl: { file: kubectl, before: [] },
    outside: { file: '/usr/bin/env', before: [] },
    up: () => {
      const reference = process.env['COMETMQ_IMAGE'];
      if (reference === undefined) {
        throw new Error('COMETMQ_IMAGE must name the image where the cluster finds it (npm run image makes it)');
      }
      return valuesOf('image', reference);
    },
    down: () => undefined,
    languagesImage: process.env['COMETMQ_LANGUAGES_IMAGE'],
  };
}

const languagesImage = 'cometmq/languages:e2e';

function ownCluster(kube: string, source: string, nodes: number): Target {
  let wasUp = true;
  const load = (from: string, tag: string): string[] => {
    const root = mkdtempSync(join(tmpdir(), 'cometmq-kubernetes-'));
    try {
      makeRootFolder(from, join(root, 'cometmq'));
      const env = running.Env.flatMap((each) => ['-e', each]);
      const how = [...env, '-u', running.User, ...running.Entrypoint];
      must(kube, ['image', `cometmq/cometmq:${tag}`, join(root, 'cometmq'), ...how]);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
    return valuesOf('image', `cometmq/cometmq:${tag}`);
  };
  return {
    helm: { file: kube, before: ['helm'] },
    kubectl: { file: kube, before: ['kubectl'] },
    outside: { file: kube, before: ['exec-host', '/usr/bin/env'] },
    up: (say, asLoaded) => {
      wasUp = attempt(kube, ['kubectl', 'get', 'nodes']).status === 0;
      say(wasUp ? 'the cluster is up already' : 'starting a cluster …');
      must(kube, ['up', '--nodes', String(nodes)]);
      // There is one, where clusters have several: on the node of the clients, which is never taken away.
      const pinned = { spec: { template: { spec: { nodeSelector: { 'kubernetes.io/hostname': 'node-1' } } } } };
      setDns(kube, 'patch', JSON.stringify(pinned));
      const values = [...valuesOf('image', 'cometmq/cometmq:e2e'), ...valuesOf('etcd.image', 'cometmq/etcd:e2e')];
      if (asLoaded && wasUp) return values;
      const scratch = mkdtempSync(join(tmpdir(), 'cometmq-kubernetes-'));
      try {
        say('making the images …');
        const [etcd, languages] = [join(scratch, 'etcd'), join(scratch, 'languages')];
        load(source, 'e2e');
        mkdirSync(etcd);
        unpack([...runtimePackages, 'etcd-server'], etcd, downloads(source));
        must(kube, ['image', 'cometmq/etcd:e2e', etcd, '-u', running.User, '/usr/bin/etcd']);
        mkdirSync(languages);
        unpack([...runtimePackages, 'zlib1g'], languages, downloads(source));
        must(process.execPath, [join(source, 'dist/e2e/languages/main.cjs'), 'image', languages]);
        must(kube, ['image', languagesImage, languages, '-u', running.User, '/driver/go']);
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
      return values;
    },
    languagesImage,
    load,
    dns: (what) => setDns(kube, 'scale', what === 'away' ? '0' : '1'),
    node: (what, name) => void must(kube, [`node-${what}`, /\d+$/.exec(name)?.[0] ?? name]),
    down: () => {
      if (!wasUp) must(kube, ['down']);
    },
  };
}

function setDns(kube: string, what: 'patch' | 'scale', to: string): void {
  const dns = ['kubectl', '--namespace', 'kube-system', what, 'deployment/coredns'];
  must(kube, [...dns, `--${what === 'patch' ? 'patch' : 'replicas'}`, to]);
}

function valuesOf(key: string, reference: string): string[] {
  const colon = reference.lastIndexOf(':');
  return [`${key}.repository=${reference.slice(0, colon)}`, `${key}.tag=${reference.slice(colon + 1)}`];
}
