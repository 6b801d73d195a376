/** Official clients outside of the cluster: they know the address of a node and a port of it, and nothing else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Cluster, fullName } from './cluster.ts';
import { prepare } from './errand.ts';
import { bundleClient } from './parcel.ts';
import { follow } from './run.ts';

const sendsMax = 200;

/** @returns what the clients say when everything they sent has come, in order @throws Error when something is missing */
export async function fromOutside(cluster: Cluster, source: string, name: string): Promise<string> {
  const path = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}';
  const address = cluster.kubectl('get', 'nodes', '-o', `jsonpath=${path}`);
  const port = cluster.kubectl('get', 'service', `${fullName}-proxy`, '-o', 'jsonpath={.spec.ports[0].nodePort}');
  const errand = prepare(cluster, name, `${address}:${port}`, sendsMax);
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-outside-'));
  try {
    const program = join(folder, 'client.cjs');
    writeFileSync(program, await bundleClient(source));
    const { file, before } = cluster.target.outside;
    const variables = [`NODE_PATH=${join(source, 'node_modules')}`, `ERRAND=${JSON.stringify(errand)}`];
    let said = '';
    await follow(file, [...before, ...variables, process.execPath, program], process.env, (line) => (said = line));
    if (!said.startsWith('balanced ')) throw new Error(`clients from outside: ${said}`);
    return said;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
