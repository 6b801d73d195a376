import { connect } from 'node:net';
import { hostAndPort } from './host-port.js';

it.each([
  ['broker-1:10911', 'broker-1', 10_911],
  ['broker_1.broker.mq.svc.:1', 'broker_1.broker.mq.svc.', 1],
  ['bücher.example:65535', 'bücher.example', 65_535],
  ['127.0.0.1:80', '127.0.0.1', 80],
  ['[fd00::1]:10911', 'fd00::1', 10_911],
  ['[::ffff:10.0.0.1]:1', '::ffff:10.0.0.1', 1],
  ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1],
])('%s is an address', (address, host, port) => {
  expect(hostAndPort(address)).toEqual({ host, port });
});

const none = [
  '',
  'nowhere',
  'nowhere:',
  ':1',
  '[]:1',
  'here:0',
  'here:65536',
  'here:1e3',
  'here: 1',
  'here:-1',
  'here:1\n',
];
const noHost = [
  'a b:1',
  'a\0b:1',
  ' a:1',
  'http://a:1',
  'user@a:1',
  'fd00::1:10911',
  '[a:1',
  '[a b]:1',
  'a/b:1',
  'a?b:1',
];

it.each([...none, ...noHost])('%j is none', (address) => {
  expect(hostAndPort(address)).toBeUndefined();
});

it('takes no host that is longer than a name can be', () => {
  expect(hostAndPort(`${'a'.repeat(253)}:1`)).toBeDefined();
  expect(hostAndPort(`${'a'.repeat(254)}:1`)).toBeUndefined();
});

// Goal: no address that is let in makes a socket throw where it is made. Method: every character of the lower planes.
it('lets in no character at which a socket throws', () => {
  for (let code = 0; code < 0x3_00; code += 1) {
    const at = hostAndPort(`a${String.fromCharCode(code)}:1`);
    if (at === undefined) continue;
    const socket = connect({ ...at, lookup: (_host, _options, done) => done(new Error('not asked'), '') });
    socket.on('error', () => undefined);
    socket.destroy();
  }
});
