import { Address, decodeCounted, QueryRouteRequest, Settings, TooManyFields } from './index.js';

const request = (addresses: number): Uint8Array =>
  QueryRouteRequest.encode(
    QueryRouteRequest.fromPartial({ endpoints: { addresses: Array.from({ length: addresses }, () => ({})) } }),
  ).finish();

it('decodes as the codec does while there are no more fields than allowed', () => {
  expect(decodeCounted(QueryRouteRequest, request(9), 10)).toEqual(QueryRouteRequest.decode(request(9)));
  expect(() => decodeCounted(QueryRouteRequest, request(10), 10)).toThrow(TooManyFields);
});

it('stops at the first field too many: nothing is made of the millions behind it', () => {
  const addresses = Buffer.alloc(2_000_000, Buffer.of(0x12, 0));
  const bytes = Buffer.concat([Buffer.of(0x12, 0x80, 0x89, 0x7a), addresses]);
  const made = jest.spyOn(Address, 'decode');
  expect(() => decodeCounted(QueryRouteRequest, bytes, 1_000)).toThrow(TooManyFields);
  expect(made.mock.calls.length).toBeLessThan(1_000);
  made.mockRestore();
});

it('counts what is skipped, the entries of maps and the elements of packed lists', () => {
  const unknown = Buffer.alloc(3_000, Buffer.of(0xf8, 0x07, 0x01)); // Field 127, a varint.
  expect(() => decodeCounted(QueryRouteRequest, unknown, 400)).toThrow(TooManyFields);
  const properties = new Map(Array.from({ length: 100 }, (_, i) => [`k${i}`, 'v']));
  const settings = Settings.encode(Settings.fromPartial({ clientProperties: properties })).finish();
  expect(decodeCounted(Settings, settings, 300).clientProperties.size).toBe(100);
  expect(() => decodeCounted(Settings, settings, 200)).toThrow(TooManyFields);
});
