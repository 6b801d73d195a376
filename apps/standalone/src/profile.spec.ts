// Goal: nothing that others can reach is open by accident. Method: a data folder of its own, started again and again.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { credentialsIn, SecretBox } from '@cometmq/auth';

import { profileOf, type ProfileConfig } from './profile.js';

const dataDir = mkdtempSync(join(tmpdir(), 'cometmq-profile-'));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

const home: ProfileConfig = {
  insecure: false,
  users: false,
  dataDir,
  proxyHost: '127.0.0.1',
  adminHost: 'localhost',
  metricsHost: '::1',
};

it('asks nobody on loopback addresses, and refuses every other one with the two ways out', () => {
  expect(profileOf(home)).toEqual({ files: undefined, firstLogin: [] });
  for (const name of ['proxyHost', 'adminHost', 'metricsHost']) {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'broker.example', '127.evil.example', '']) {
      const start = () => profileOf({ ...home, [name]: host });
      expect(start).toThrow(`${name}=${host}`);
      expect(start).toThrow('--users');
      expect(start).toThrow('--insecure');
    }
  }
  expect(profileOf({ ...home, proxyHost: '0.0.0.0', insecure: true }).files).toBeUndefined();
});

it('makes an admin once, prints it once, and from then on asks everywhere', () => {
  const first = profileOf({ ...home, users: true, proxyHost: '0.0.0.0' });
  const { user, secret } = credentialsIn(first.files?.admin ?? '');
  expect(user).toBe('admin');
  expect(first.firstLogin.join('\n')).toContain(secret.reveal());
  expect(SecretBox.of(first.files?.keys ?? '').keyId).toBe('k1');
  for (const file of ['keys', 'admin']) expect(statSync(join(dataDir, 'identity', file)).mode & 0o777).toBe(0o600);
  const again = profileOf(home);
  expect(again).toEqual({ files: first.files, firstLogin: [] });
  expect(profileOf({ ...home, insecure: true }).files).toBeUndefined();
});
