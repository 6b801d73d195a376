/**
 * Goal: a client built from the official protocol files and our code agree on every byte. Method: the facts (names,
 * numbers, types, cardinalities) stand in a fixture of their own; the .proto files are compared with it through the
 * descriptor, the generated code through bytes that a tiny encoder here builds from the facts alone.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import facts from '../testdata/wire-facts.json';
import * as generated from './generated/index.apache.rocketmq.v2.js';
import { Message, Settings } from './generated/index.apache.rocketmq.v2.js';

type Cardinality = '1' | 'opt' | 'rep' | 'map' | `oneof:${string}`;
type FieldFact = [number: number, name: string, type: string, cardinality: Cardinality];
type Facts = {
  package: string;
  services: Record<string, [file: string, request: string, response: string, streaming: string]>;
  enums: Record<string, [file: string, values: Record<string, number>]>;
  messages: Record<string, [file: string, fields: FieldFact[]]>;
};
const known = facts as unknown as Facts;

/** Types of others, which the facts use. */
const time: FieldFact[] = [
  [1, 'seconds', 'int64', '1'],
  [2, 'nanos', 'int32', '1'],
];

function fieldsOf(message: string): FieldFact[] {
  if (message === 'google.protobuf.Timestamp' || message === 'google.protobuf.Duration') return time;
  const found = known.messages[message];
  if (!found) throw new Error(`${message}: no such message`);
  return found[1];
}

type Wire = Record<string, unknown>;
type Method = {
  name: string;
  requestType: unknown;
  responseType: unknown;
  requestStream: boolean;
  responseStream: boolean;
};
type Codec = { encode(message: Wire): { finish(): Uint8Array }; decode(bytes: Uint8Array): Wire };

/** `Outer.Inner` of the protocol is `Outer_Inner` in TypeScript. */
function exported(name: string): unknown {
  return (generated as Record<string, unknown>)[name.replace('.', '_')];
}

function codec(message: string): Codec {
  const found = exported(message);
  if (!found) throw new Error(`${message}: not generated`);
  return found as Codec;
}

const camel = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const kindOf = (type: string) => (type in known.enums ? 'enum' : type);

const messageNames = Object.keys(known.messages);
const allFields = messageNames.flatMap((message) =>
  fieldsOf(message).map((fact): [string, FieldFact] => [`${message}.${fact[1]}`, fact]),
);

describe('the .proto files', () => {
  it('declare the services, messages, fields and enums of the facts, and no others', () => {
    expect(describeProto()).toEqual(known);
  });
});

describe('the generated services', () => {
  it('have the methods, types and streaming of the facts', () => {
    const services: Record<string, unknown> = {};
    for (const definition of [generated.MessagingServiceDefinition, generated.AdminDefinition]) {
      expect(definition.fullName).toBe(`${known.package}.${definition.name}`);
      for (const method of Object.values<Method>(definition.methods)) {
        services[`${definition.name}.${method.name}`] = [
          nameOf(method.requestType),
          nameOf(method.responseType),
          streaming(method.requestStream, method.responseStream),
        ];
      }
    }
    const wanted = Object.entries(known.services).map(([name, [, ...types]]) => [name, types]);
    expect(services).toEqual(Object.fromEntries(wanted));
  });
});

describe('the generated enums', () => {
  it.each(Object.entries(known.enums))('%s has the values of the facts', (name, [, values]) => {
    const { UNRECOGNIZED, ...found } = exported(name) as Record<string, number>;
    expect(UNRECOGNIZED).toBe(-1);
    expect(found).toEqual(values);
  });
});

describe('the generated codecs', () => {
  it.each(messageNames)('%s: no bytes are a message with every field at its default', (message) => {
    const decoded = codec(message).decode(new Uint8Array(0));
    expect(decoded).toStrictEqual(defaults(message));
    expect(codec(message).encode(decoded).finish()).toHaveLength(0);
  });

  it.each(allFields)('%s: is read from its number and written back to it', (name, fact) => {
    const message = name.slice(0, name.lastIndexOf('.'));
    const { bytes, value } = sampleField(fact);
    const decoded = codec(message).decode(Uint8Array.from(bytes));
    expect(decoded).toEqual({ ...defaults(message), ...value });
    expect([...codec(message).encode(decoded).finish()]).toEqual(bytes);
  });

  it.each(allFields.filter(([, fact]) => hasZero(fact)))(
    '%s: zero is written if, and only if, the field can tell it from absence',
    (name, fact) => {
      const message = name.slice(0, name.lastIndexOf('.'));
      const [, , type, cardinality] = fact;
      const zero = zeroOf(type);
      const oneof = cardinality.startsWith('oneof:');
      const key = camel(oneof ? cardinality.slice('oneof:'.length) : fact[1]);
      const value = oneof ? { $case: camel(fact[1]), value: zero } : zero;
      const bytes = codec(message)
        .encode({ ...defaults(message), [key]: value })
        .finish();
      expect(bytes.length > 0).toBe(cardinality !== '1');
      expect(codec(message).decode(bytes)[key]).toEqual(value);
    },
  );

  it('skip fields of a later protocol, of every wire type', () => {
    const later = [
      ...[...varint(1000 * 8), ...varint(5)],
      ...[...varint(1001 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8],
      ...[...varint(1002 * 8 + 2), 2, 1, 2],
      ...[...varint(1003 * 8 + 5), 1, 2, 3, 4],
    ];
    const status = sampleMessage('Status');
    expect(codec('Status').decode(Uint8Array.from([...later, ...status.bytes, ...later]))).toEqual(status.value);
  });

  it('pass on an enum number they do not know', () => {
    const decoded = codec('Status').decode(Uint8Array.from([8, ...varint(77_777)]));
    expect(decoded['code']).toBe(77_777);
  });

  it('refuse a 64-bit number that a double cannot hold', () => {
    const bytes = Uint8Array.from([8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    expect(() => codec('OffsetOption').decode(Uint8Array.from([16, ...bytes.subarray(1)]))).toThrow(/MAX_SAFE_INTEGER/);
  });

  it('keep any key of a client in a Map, out of reach of prototypes', () => {
    const keys = ['__proto__', 'constructor', 'toString', ''];
    const sent = Message.fromPartial({ userProperties: new Map(keys.map((key) => [key, 'mine'])) });
    const found = Message.decode(Message.encode(sent).finish());
    expect([...found.userProperties.keys()]).toEqual(keys);
    expect(Object.getPrototypeOf(found.userProperties)).toBe(Map.prototype);
    expect(({} as Record<string, unknown>)['mine']).toBeUndefined();
  });

  it('give a body as a view of the request, not as a copy', () => {
    const bytes = Message.encode(Message.fromPartial({ body: Uint8Array.from([1, 2, 3]) })).finish();
    expect(Message.decode(bytes).body.buffer).toBe(bytes.buffer);
  });

  // Known and relied on: who writes for clients must not count on merging.
  it('let a second sub-message replace the first', () => {
    const first = Message.encode(Message.fromPartial({ systemProperties: { messageId: 'a' } })).finish();
    const second = Message.encode(Message.fromPartial({ systemProperties: { receiptHandle: 'b' } })).finish();
    expect(Message.decode(Buffer.concat([first, second])).systemProperties).toMatchObject({
      messageId: '',
      receiptHandle: 'b',
    });
  });

  it('take nested parts in fromPartial and fill in the rest', () => {
    const settings = Settings.fromPartial({
      backoffPolicy: { maxAttempts: 3, strategy: { $case: 'exponentialBackoff', value: { multiplier: 2 } } },
      pubSub: { $case: 'publishing', value: { maxBodySize: 4_194_304 } },
    });
    expect(settings.backoffPolicy?.strategy?.value).toEqual({ initial: undefined, max: undefined, multiplier: 2 });
    expect(settings.pubSub).toEqual({
      $case: 'publishing',
      value: { topics: [], maxBodySize: 4_194_304, validateMessageType: false },
    });
  });
});

const seed = 20_260_801;
const busiest = [
  'SendMessageRequest',
  'SendMessageResponse',
  'ReceiveMessageRequest',
  'ReceiveMessageResponse',
  'AckMessageRequest',
  'AckMessageResponse',
  'ChangeInvisibleDurationRequest',
  'QueryRouteResponse',
  'QueryAssignmentResponse',
  'TelemetryCommand',
  'EndTransactionRequest',
  'SyncLiteSubscriptionRequest',
  'ConsumerRunningInfo',
];

describe.each(busiest)(`%s, by chance (seed ${seed})`, (message) => {
  const encode = (value: Wire) => codec(message).encode(value).finish();
  const decode = (bytes: Uint8Array) => codec(message).decode(bytes);

  it('is the same after encoding and decoding', () => {
    fc.assert(
      fc.property(arbitraryMessage(message), (value) => {
        expect(decode(encode(value))).toEqual(value);
      }),
      { seed, numRuns: 60 },
    );
  });

  it('cut or damaged, is refused or read, and never with a byte from beyond its end', () => {
    const damaged = fc
      .tuple(
        arbitraryMessage(message).map(encode),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
        fc.nat(),
      )
      .map(([bytes, changes, cut]) => {
        const copy = bytes.slice(0, bytes.length === 0 ? 0 : bytes.length - (cut % Math.min(bytes.length, 8)));
        for (const [at, byte] of changes) if (copy.length > 0) copy[at % copy.length] = byte;
        return copy;
      });
    const noise = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(fc.oneof(damaged, noise), (bytes) => {
        const alone = outcome(() => decode(bytes.slice()));
        for (const filler of [0x00, 0x08, 0xff]) {
          const wide = new Uint8Array(bytes.length + 64).fill(filler);
          wide.set(bytes, 16);
          expect(outcome(() => decode(wide.subarray(16, 16 + bytes.length)))).toEqual(alone);
        }
      }),
      { seed, numRuns: 300 },
    );
  });
});

/** What a call gave or how it failed, as something to compare. Only an Error may be thrown. */
function outcome(act: () => unknown): { value: unknown } | { error: string } {
  try {
    return { value: act() };
  } catch (error) {
    if (!(error instanceof Error)) throw new TypeError('something other than an Error was thrown', { cause: error });
    return { error: error.message };
  }
}

function nameOf(found: unknown): string | undefined {
  return messageNames.find((name) => exported(name) === found);
}

function streaming(client: boolean | undefined, server: boolean | undefined): string {
  if (client) return server ? 'bidirectional' : 'client';
  return server ? 'server' : 'unary';
}

// ---- Bytes and values from the facts ----

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return [...bytes, rest];
}

type Sample = { wireType: 0 | 1 | 2 | 5; bytes: number[]; value: unknown };

/** A value of a type and its bytes without tag: no value is the type's zero. */
function sample(type: string): Sample {
  const delimited = (bytes: number[], value: unknown): Sample => ({
    wireType: 2,
    bytes: [...varint(bytes.length), ...bytes],
    value,
  });
  const ieee = (width: 4 | 8, value: number): Sample => {
    const buffer = Buffer.alloc(width);
    if (width === 4) buffer.writeFloatLE(value);
    else buffer.writeDoubleLE(value);
    return { wireType: width === 4 ? 5 : 1, bytes: [...buffer], value };
  };
  switch (kindOf(type)) {
    case 'int32':
      // A negative one takes ten bytes: its sign goes up to bit 63.
      return { wireType: 0, bytes: [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], value: -2 };
    case 'int64':
      return { wireType: 0, bytes: varint(2 ** 45 + 3), value: 2 ** 45 + 3 };
    case 'enum':
      return { wireType: 0, bytes: varint(54_321), value: 54_321 };
    case 'bool':
      return { wireType: 0, bytes: [1], value: true };
    case 'float':
      return ieee(4, 1.5);
    case 'double':
      return ieee(8, 0.1);
    case 'string':
      return delimited([...Buffer.from('naïve ✓')], 'naïve ✓');
    case 'bytes':
      return delimited([0, 255, 128], Uint8Array.from([0, 255, 128]));
    default: {
      const inner = sampleMessage(type);
      return delimited(inner.bytes, inner.value);
    }
  }
}

/** Bytes of one field with its tag, and the key and value it shall have in the message. */
function sampleField([number, name, type, cardinality]: FieldFact): { bytes: number[]; value: Wire } {
  const tag = (wireType: number, of = number) => varint(of * 8 + wireType);
  if (cardinality === 'map') {
    const [keyType = '', valueType = ''] = type.slice('map<'.length, -1).split(', ');
    const key = sample(keyType);
    const value = sample(valueType);
    const entry = [...tag(key.wireType, 1), ...key.bytes, ...tag(value.wireType, 2), ...value.bytes];
    const bytes = [...tag(2), ...varint(entry.length), ...entry];
    return { bytes, value: { [camel(name)]: new Map([[key.value, value.value]]) } };
  }
  const one = sample(type);
  if (cardinality === 'rep') {
    const twice = [one.value, one.value];
    if (one.wireType === 2) {
      const item = [...tag(2), ...one.bytes];
      return { bytes: [...item, ...item], value: { [camel(name)]: twice } };
    }
    const packed = [...one.bytes, ...one.bytes];
    return { bytes: [...tag(2), ...varint(packed.length), ...packed], value: { [camel(name)]: twice } };
  }
  const bytes = [...tag(one.wireType), ...one.bytes];
  if (cardinality.startsWith('oneof:')) {
    const value = { $case: camel(name), value: one.value };
    return { bytes, value: { [camel(cardinality.slice('oneof:'.length))]: value } };
  }
  return { bytes, value: { [camel(name)]: one.value } };
}

/** A message with every field set; of a oneof, its first member. */
function sampleMessage(message: string): { bytes: number[]; value: Wire } {
  const seen = new Set<string>();
  const bytes: number[] = [];
  const value = defaults(message);
  for (const fact of fieldsOf(message)) {
    if (fact[3].startsWith('oneof:') && seen.has(fact[3])) continue;
    seen.add(fact[3]);
    const field = sampleField(fact);
    bytes.push(...field.bytes);
    Object.assign(value, field.value);
  }
  return { bytes, value };
}

/** The zero of a scalar or enum; a message has none. */
function zeroOf(type: string): unknown {
  const zeros: Record<string, unknown> = {
    ...{ int32: 0, int64: 0, enum: 0, float: 0, double: 0, bool: false, string: '' },
    bytes: new Uint8Array(0),
  };
  return zeros[kindOf(type)];
}

/** Repeated fields and maps have none: each of their items is written. */
function hasZero([, , type, cardinality]: FieldFact): boolean {
  return cardinality !== 'rep' && cardinality !== 'map' && zeroOf(type) !== undefined;
}

function defaults(message: string): Wire {
  const value: Wire = {};
  for (const [, name, type, cardinality] of fieldsOf(message)) {
    if (cardinality.startsWith('oneof:')) value[camel(cardinality.slice('oneof:'.length))] = undefined;
    else if (cardinality === 'rep') value[camel(name)] = [];
    else if (cardinality === 'map') value[camel(name)] = new Map();
    else value[camel(name)] = cardinality === 'opt' ? undefined : zeroOf(type);
  }
  return value;
}

// ---- Chance from the facts ----

const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom('', '__proto__', 'constructor', 'x'.repeat(130)) },
);

function arbitraryOf(type: string): fc.Arbitrary<unknown> {
  switch (kindOf(type)) {
    case 'int32':
    case 'enum':
      return fc.integer();
    case 'int64':
      return fc.maxSafeInteger();
    case 'bool':
      return fc.boolean();
    case 'float':
      return fc.float({ noNaN: true }).map((value) => value + 0); // -0 is 0 on the wire.
    case 'double':
      return fc.double({ noNaN: true }).map((value) => value + 0);
    case 'string':
      return text;
    case 'bytes':
      return fc.uint8Array({ maxLength: 40 });
    default:
      return arbitraryMessage(type);
  }
}

function arbitraryMessage(message: string): fc.Arbitrary<Wire> {
  const parts: Record<string, fc.Arbitrary<unknown>> = {};
  const oneofs = new Map<string, fc.Arbitrary<unknown>[]>();
  for (const [, name, type, cardinality] of fieldsOf(message)) {
    const key = camel(name);
    if (cardinality.startsWith('oneof:')) {
      const member = fc.record({ $case: fc.constant(key), value: arbitraryOf(type) });
      const oneof = camel(cardinality.slice('oneof:'.length));
      oneofs.set(oneof, [...(oneofs.get(oneof) ?? [fc.constant(undefined)]), member]);
    } else if (cardinality === 'map') {
      const [, valueType = ''] = type.slice('map<'.length, -1).split(', ');
      parts[key] = fc
        .array(fc.tuple(text, arbitraryOf(valueType)), { maxLength: 4 })
        .map((entries) => new Map(entries));
    } else if (cardinality === 'rep') {
      parts[key] = fc.array(arbitraryOf(type), { maxLength: 3 });
    } else if (cardinality === 'opt' || zeroOf(type) === undefined) {
      parts[key] = fc.option(arbitraryOf(type), { nil: undefined });
    } else {
      parts[key] = arbitraryOf(type);
    }
  }
  for (const [oneof, members] of oneofs) parts[oneof] = fc.oneof(...members);
  return fc.record(parts);
}

// ---- The facts as the .proto files state them ----

type FieldDescriptor = {
  name: string;
  number: number;
  label: string;
  type: string;
  typeName?: string;
  oneofIndex?: number;
  proto3Optional?: boolean;
};
type EnumDescriptor = { name: string; value: { name: string; number?: number }[] };
type MessageDescriptor = {
  name: string;
  field?: FieldDescriptor[];
  nestedType?: MessageDescriptor[];
  enumType?: EnumDescriptor[];
  oneofDecl?: { name: string }[];
  options?: { mapEntry?: boolean };
};
type MethodDescriptor = {
  name: string;
  inputType: string;
  outputType: string;
  clientStreaming?: boolean;
  serverStreaming?: boolean;
};
type FileDescriptor = {
  name: string;
  package: string;
  messageType?: MessageDescriptor[];
  enumType?: EnumDescriptor[];
  service?: { name: string; method: MethodDescriptor[] }[];
};

function describeProto(): Facts {
  const root = join(__dirname, '../../..');
  const buf = require.resolve('@bufbuild/buf/bin/buf');
  const args = [buf, 'build', 'proto', '--path', 'proto/apache', '--exclude-source-info', '--output', '-#format=json'];
  const image = execFileSync(process.execPath, args, { cwd: root, maxBuffer: 1 << 24 });
  const { file: files } = JSON.parse(image.toString()) as { file: FileDescriptor[] };

  const found: Facts = { package: 'apache.rocketmq.v2', services: {}, enums: {}, messages: {} };
  const short = (typeName: string) => typeName.replace(/^\./, '').replace(`${found.package}.`, '');
  const addEnum = (file: string, { name, value }: EnumDescriptor, outer: string) => {
    const values = value.map((entry): [string, number] => [entry.name, entry.number ?? 0]);
    found.enums[outer + name] = [file, Object.fromEntries(values)];
  };
  const addMessage = (file: string, message: MessageDescriptor, outer: string) => {
    const name = outer + message.name;
    const entries = new Map<string, MessageDescriptor>();
    for (const nested of message.nestedType ?? []) {
      if (nested.options?.mapEntry) entries.set(`${name}.${nested.name}`, nested);
      else addMessage(file, nested, `${name}.`);
    }
    for (const nested of message.enumType ?? []) addEnum(file, nested, `${name}.`);
    const typeOf = (field: FieldDescriptor) =>
      field.typeName === undefined ? field.type.replace('TYPE_', '').toLowerCase() : short(field.typeName);
    const fields = (message.field ?? []).map((field): FieldFact => {
      const type = typeOf(field);
      const entry = entries.get(type);
      if (entry) {
        const types = (entry.field ?? []).map(typeOf).join(', ');
        return [field.number, field.name, `map<${types}>`, 'map'];
      }
      const oneof = field.oneofIndex === undefined ? undefined : message.oneofDecl?.[field.oneofIndex];
      if (field.proto3Optional) return [field.number, field.name, type, 'opt'];
      if (oneof) return [field.number, field.name, type, `oneof:${oneof.name}`];
      return [field.number, field.name, type, field.label === 'LABEL_REPEATED' ? 'rep' : '1'];
    });
    found.messages[name] = [file, fields.sort(([a], [b]) => a - b)];
  };
  for (const file of files.filter(({ name }) => name.startsWith('apache/'))) {
    expect(file.package).toBe(found.package);
    const stem = file.name.replace('apache/rocketmq/v2/', '').replace('.proto', '');
    for (const message of file.messageType ?? []) addMessage(stem, message, '');
    for (const declared of file.enumType ?? []) addEnum(stem, declared, '');
    for (const service of file.service ?? []) {
      for (const method of service.method) {
        found.services[`${service.name}.${method.name}`] = [
          stem,
          short(method.inputType),
          short(method.outputType),
          streaming(method.clientStreaming, method.serverStreaming),
        ];
      }
    }
  }
  return found;
}
