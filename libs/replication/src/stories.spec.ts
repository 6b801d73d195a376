// Goal: long orders of events come out as the design says. Method: each story in stories/ is played; its answers must be
// those written down. COMETMQ_UPDATE_STORIES=1 writes them down anew, to be read before they are believed.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { play } from './testing/story.js';

const folder = join(__dirname, '../stories');

describe('stories', () => {
  it.each(readdirSync(folder))('%s', (name) => {
    const path = join(folder, name);
    const story = readFileSync(path, 'utf8');
    const told = play(story);
    if (process.env['COMETMQ_UPDATE_STORIES'] === '1') writeFileSync(path, told);
    else expect(told).toBe(story);
  });
});
