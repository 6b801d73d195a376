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
  /** Makes it ready, and gives the chart's values that belong to it. */
  up(say: (line: string) => void): readonly string[];
  down(): void;
  /** Power off and on, cable out and in; undefined: not this program's to do. */
  readonly node?: (what: 'kill' | 'start' | 'cut' | 'join', name: string) => void;
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
  };
}

function ownCluster(kube: string, source: string, nodes: number): Target {
  let wasUp = true;
  return {
    helm: { file: kube, before: ['helm'] },
    kubectl: { file: kube, before: ['kubectl'] },
    outside: { file: kube, before: ['exec-host', '/usr/bin/env'] },
    up: (say) => {
      wasUp = attempt(kube, ['kubectl', 'get', 'nodes']).status === 0;
      say(wasUp ? 'the cluster is up already' : 'starting a cluster …');
      must(kube, ['up', '--nodes', String(nodes)]);
      const scratch = mkdtempSync(join(tmpdir(), 'cometmq-kubernetes-'));
      try {
        say('making the images …');
        const [ours, etcd] = [join(scratch, 'cometmq'), join(scratch, 'etcd')];
        makeRootFolder(source, ours);
        const env = running.Env.flatMap((each) => ['-e', each]);
        must(kube, ['image', 'cometmq/cometmq:e2e', ours, ...env, '-u', running.User, ...running.Entrypoint]);
        mkdirSync(etcd);
        unpack([...runtimePackages, 'etcd-server'], etcd, downloads(source));
        must(kube, ['image', 'cometmq/etcd:e2e', etcd, '-u', running.User, '/usr/bin/etcd']);
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
      return [...valuesOf('image', 'cometmq/cometmq:e2e'), ...valuesOf('etcd.image', 'cometmq/etcd:e2e')];
    },
    node: (what, name) => void must(kube, [`node-${what}`, /\d+$/.exec(name)?.[0] ?? name]),
    down: () => {
      if (!wasUp) must(kube, ['down']);
    },
  };
}

function valuesOf(key: string, reference: string): string[] {
  const colon = reference.lastIndexOf(':');
  return [`${key}.repository=${reference.slice(0, colon)}`, `${key}.tag=${reference.slice(colon + 1)}`];
}
