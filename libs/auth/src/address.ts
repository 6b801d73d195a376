/** Addresses of callers, and the blocks that policies name: `10.1.2.3`, `10.0.0.0/8`, `2001:db8::/32`. */
import { isIPv4, isIPv6 } from 'node:net';

import { MqError } from '@cometmq/shared';

export interface AddressBlock {
  readonly bits: 32 | 128;
  readonly first: bigint;
  readonly shift: bigint;
}

export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** @throws MqError BAD_REQUEST */
export function addressBlock(text: string): AddressBlock {
  const [addressText = '', prefixText, ...rest] = text.trim().split('/');
  const address = addressIn(addressText);
  if (!address || rest.length > 0) throw notAnAddress(text);
  const prefix = prefixText === undefined ? address.bits : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1;
  if (prefix < 0 || prefix > address.bits) throw notAnAddress(text);
  const shift = BigInt(address.bits - prefix);
  return { bits: address.bits, first: address.value >> shift, shift };
}

export function isWithin({ bits, value }: Address, blocks: readonly AddressBlock[]): boolean {
  return blocks.some((block) => block.bits === bits && value >> block.shift === block.first);
}

/** @param peer `ip:port` or `[v6]:port`, as a call has it. Undefined: it is not known where the call came from. */
export function addressOf(peer: string | undefined): Address | undefined {
  return peer === undefined ? undefined : addressIn(hostOf(peer));
}

/** The address without its port. */
export function hostOf(peer: string): string {
  if (peer.startsWith('[')) return peer.slice(1, peer.indexOf(']'));
  const colon = peer.indexOf(':');
  return colon >= 0 && colon === peer.lastIndexOf(':') ? peer.slice(0, colon) : peer;
}

/** What stands for who is behind an address where failures are counted: of IPv6 its /64, as who has one of those has all. */
export function networkOf(peer: string): string {
  const host = hostOf(peer);
  if (isIPv4(host)) return host;
  const address = addressIn(host);
  if (!address) return host;
  if (address.bits === 128) return `${(address.value >> 64n).toString(16)}::/64`;
  return [24n, 16n, 8n, 0n].map((shift) => (address.value >> shift) & 0xffn).join('.');
}

function addressIn(text: string): Address | undefined {
  if (isIPv4(text)) return { bits: 32, value: v4(text) };
  if (!isIPv6(text)) return undefined;
  const value = v6(text.replace(/%.*$/, ''));
  // An IPv4 address that came by an IPv6 socket is the same caller.
  if (value >> 32n === 0xffffn) return { bits: 32, value: value & 0xffff_ffffn };
  return { bits: 128, value };
}

function v4(text: string): bigint {
  return text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function v6(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const low = v4(dotted[2] ?? '');
    text = `${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  }
  const [head = '', tail] = text.split('::');
  const words = (part: string | undefined): string[] => (part ? part.split(':') : []);
  const left = words(head);
  const right = words(tail);
  const middle = tail === undefined ? [] : new Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...middle, ...right].reduce((sum, word) => (sum << 16n) | BigInt(`0x${word}`), 0n);
}

function notAnAddress(text: string): MqError {
  return new MqError('BAD_REQUEST', `source address "${text.slice(0, 64)}": an IP address or a block like 10.0.0.0/8`);
}
