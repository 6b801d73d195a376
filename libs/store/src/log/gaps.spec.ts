import { MemoryDisk } from '../disk/memory-disk.js';
import { Gaps } from './gaps.js';

describe('what the log gave up', () => {
  it('is all noted, also what is given up while another part is being noted', async () => {
    const disk = new MemoryDisk();
    await disk.makeFolder('log');
    const gaps = new Gaps(disk, 'log');
    const ranges = [0, 10, 20].map((first) => ({ first, end: first + 5 }));
    await Promise.all(ranges.map((range) => gaps.add(range)));
    const again = new Gaps(disk, 'log');
    expect(await again.open()).toBe(true);
    expect(again.all).toEqual(ranges);
  });
});
