/**
 * Who is let in by the standalone program. On a loopback address nobody has to log in. Elsewhere there are users, whose keys
 * and first admin lie in the data folder; once they are there, they are asked for everywhere.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { newSecret, SecretBox, type auditSettings, type GateParts } from '@cometmq/auth';
import { MiB } from '@cometmq/model';
import { MqError, type Values } from '@cometmq/shared';
import { lineFileOf, type LineFile } from '@cometmq/telemetry';

export interface ProfileConfig {
  readonly insecure: boolean;
  readonly users: boolean;
  readonly dataDir: string;
  readonly proxyHost: string;
  readonly adminHost: string;
  readonly metricsHost: string;
}

export interface Profile {
  readonly files: GateParts['files'];
  /** Said at the start, once in the life of a data folder. */
  readonly firstLogin: readonly string[];
}

export const adminName = 'admin';

/** @throws MqError CONFIG where neither users nor the lack of them was asked for, and others can reach a port */
export function profileOf(config: ProfileConfig): Profile {
  const open = { files: undefined, firstLogin: [] };
  if (config.insecure) return open;
  const folder = join(config.dataDir, 'identity');
  const [keyFile, adminFile] = [join(folder, 'keys'), join(folder, 'admin')];
  const hasUsers = existsSync(keyFile);
  if (!hasUsers && !config.users) {
    const reached = (['proxyHost', 'adminHost', 'metricsHost'] as const).filter((name) => !isLoopback(config[name]));
    if (reached.length === 0) return open;
    throw new MqError('CONFIG', refusal(reached.map((name) => `${name}=${config[name]}`)));
  }
  const firstLogin: string[] = [];
  if (!hasUsers) {
    const secret = newSecret().reveal();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    write(adminFile, `${adminName} ${secret}\n`);
    write(keyFile, SecretBox.newFile('k1')); // Last: with it there are users.
    firstLogin.push(`Access key: ${adminName}`, `Secret:     ${secret}`, `Kept in:    ${adminFile}`);
  }
  const admin = existsSync(adminFile) ? readFileSync(adminFile, 'utf8') : undefined;
  return { files: { keys: readFileSync(keyFile, 'utf8'), admin }, firstLogin };
}

/** Where there are users it is written down who did what, unless it is said where: in the data folder. */
export function auditFileOf(
  { auditFile, auditFileBytesMax, dataDir }: Pick<ProfileConfig, 'dataDir'> & Values<typeof auditSettings>,
  { files }: Pick<Profile, 'files'>,
): LineFile | undefined {
  if (auditFile !== '' || !files) return lineFileOf(auditFile, auditFileBytesMax);
  return lineFileOf(join(dataDir, 'audit/audit.jsonl'), auditFileBytesMax || ownAuditBytesMax);
}
const ownAuditBytesMax = 64 * MiB;

function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function refusal(reached: readonly string[]): string {
  return [
    `Others could reach this broker (${reached.join(', ')}), and nothing would ask them who they are. Two ways out:`,
    '  --users     make an admin at the first start, whose key and secret are printed once; everybody has to log in',
    '  --insecure  let everybody who reaches a port do anything',
  ].join('\n');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
