/** `ip:port`; an IPv4 address that came as IPv6 is shown as what it is, a true IPv6 one stands in brackets. */
export function peerText(address: string | undefined, port: number | undefined): string {
  const plain = (address ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '');
  return plain.includes(':') ? `[${plain}]:${port ?? 0}` : `${plain}:${port ?? 0}`;
}

/** Of `1.2.3.4:5` the address, of `[2001:db8:1:2:3:4:5:6]:7` the first 64 bits. */
export function addressKey(peer: string): string {
  const bracketed = /^\[(.*)\]:\d+$/.exec(peer);
  if (!bracketed) return peer.replace(/:\d+$/, '');
  const [before = '', after] = (bracketed[1] ?? '').toLowerCase().replace(/%.*$/, '').split('::');
  const left = before === '' ? [] : before.split(':');
  const right = after === undefined || after === '' ? [] : after.split(':');
  // A dotted tail stands for two groups.
  const rightGroups = right.length + (right.at(-1)?.includes('.') === true ? 1 : 0);
  const gap = after === undefined ? [] : new Array<string>(Math.max(0, 8 - left.length - rightGroups)).fill('0');
  const groups = [...left, ...gap, ...right].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/64`;
}
