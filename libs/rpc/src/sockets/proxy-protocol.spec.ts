import { peerText } from '@cometmq/shared';
import { readProxyHeader } from './proxy-protocol.js';

const version2 = (command: number, family: number, body: number[]): Buffer =>
  Buffer.concat([
    Buffer.from('0d0a0d0a000d0a515549540a', 'hex'),
    Buffer.from([command, family, body.length >> 8, body.length & 255, ...body]),
  ]);

it('reads both versions', () => {
  const text = 'PROXY TCP4 192.0.2.1 192.0.2.9 5000 8081\r\n';
  expect(readProxyHeader(Buffer.from(`${text}PRI`))).toEqual({
    kind: 'found',
    length: text.length,
    peer: '192.0.2.1:5000',
  });
  const v4 = version2(0x21, 0x11, [192, 0, 2, 1, 192, 0, 2, 9, 0x13, 0x88, 0x1f, 0x91]);
  expect(readProxyHeader(v4)).toEqual({ kind: 'found', length: 28, peer: '192.0.2.1:5000' });
  expect(readProxyHeader(version2(0x20, 0, []))).toEqual({ kind: 'found', length: 16, peer: undefined });
  const v6 = version2(0x21, 0x21, [
    0x20,
    1,
    ...new Array<number>(13).fill(0),
    1,
    ...new Array<number>(16).fill(0),
    0,
    80,
    0,
    80,
  ]);
  expect(readProxyHeader(v6)).toEqual({ kind: 'found', length: 52, peer: '[2001:0:0:0:0:0:0:1]:80' });
});

it('waits for the rest, byte by byte, and never takes a prefix for broken', () => {
  const v4 = version2(0x21, 0x11, [192, 0, 2, 1, 192, 0, 2, 9, 0x13, 0x88, 0x1f, 0x91]);
  for (const whole of [v4, Buffer.from('PROXY UNKNOWN\r\n')]) {
    for (let length = 1; length < whole.length; length += 1) {
      expect(readProxyHeader(whole.subarray(0, length)).kind).toBe('more');
    }
  }
});

it('tells broken ones from none', () => {
  expect(readProxyHeader(Buffer.from('PRI * HTTP/2.0\r\n')).kind).toBe('none');
  expect(readProxyHeader(Buffer.from('PROXY HELLO there\r\n')).kind).toBe('broken');
  expect(readProxyHeader(Buffer.from(`PROXY ${'x'.repeat(200)}`)).kind).toBe('broken');
  expect(readProxyHeader(version2(0x31, 0x11, [])).kind).toBe('broken');
});

it('shows addresses as ip:port', () => {
  expect(peerText('::ffff:10.0.0.1', 7)).toBe('10.0.0.1:7');
  expect(peerText('::1', 7)).toBe('[::1]:7');
});
