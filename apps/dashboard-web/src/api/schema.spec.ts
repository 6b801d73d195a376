import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

// Goal: the console never asks for what the API does not have. Method: its types are made again from the document.
it('the console knows the API as it is', () => {
  const root = join(__dirname, '../../../..');
  const tool = join(root, 'tools/web/api-types.mjs');
  const { status, stderr } = spawnSync(process.execPath, [tool, '--check'], { cwd: root, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
