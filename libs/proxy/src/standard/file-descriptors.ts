/** Which .proto file declares what, read from an encoded google.protobuf.FileDescriptorSet. */
import { WireReader, asBuffer, wireType } from '@cometmq/shared';

interface DescribedFile {
  readonly name: string;
  readonly imports: readonly string[];
  readonly symbols: readonly string[];
  /** The google.protobuf.FileDescriptorProto itself. */
  readonly bytes: Uint8Array;
}

// Field numbers of google/protobuf/descriptor.proto.
const setFile = 1;
const fileField = { name: 1, package: 2, dependency: 3, message: 4, enum: 5, service: 6 } as const;
const nameField = 1;
const messageField = { nested: 3, enum: 4 } as const;
const serviceMethodField = 2;

export class FileDescriptors {
  private readonly files = new Map<string, DescribedFile>();
  private readonly bySymbol = new Map<string, DescribedFile>();

  constructor(set: Uint8Array) {
    for (const [field, bytes] of fieldsOf(asBuffer(set))) {
      if (field !== setFile) continue;
      const file = describe(bytes);
      this.files.set(file.name, file);
      for (const symbol of file.symbols) this.bySymbol.set(symbol, file);
    }
  }

  /** The file and all it imports, itself first; undefined if there is none of this name. */
  named(name: string): Uint8Array[] | undefined {
    const file = this.files.get(name);
    return file && this.withImports(file);
  }

  /** @param symbol with its package: a service, a method, a message, an enum */
  declaring(symbol: string): Uint8Array[] | undefined {
    const file = this.bySymbol.get(symbol);
    return file && this.withImports(file);
  }

  private withImports(file: DescribedFile): Uint8Array[] {
    const found = new Set([file]);
    for (const each of found) {
      for (const name of each.imports) {
        const imported = this.files.get(name);
        if (imported) found.add(imported);
      }
    }
    return [...found].map(({ bytes }) => bytes);
  }
}

function describe(bytes: Buffer): DescribedFile {
  let name = '';
  let scope = '';
  const imports: string[] = [];
  const symbols: string[] = [];
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === fileField.name) name = value.toString();
    else if (field === fileField.package) scope = value.toString();
    else if (field === fileField.dependency) imports.push(value.toString());
    else if (field === fileField.message) addMessage(value, scope, symbols);
    else if (field === fileField.enum) symbols.push(`${scope}.${nameOf(value)}`);
    else if (field === fileField.service) addService(value, scope, symbols);
  }
  return { name, imports, symbols, bytes };
}

function addMessage(bytes: Buffer, scope: string, symbols: string[]): void {
  const symbol = `${scope}.${nameOf(bytes)}`;
  symbols.push(symbol);
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === messageField.nested) addMessage(value, symbol, symbols);
    else if (field === messageField.enum) symbols.push(`${symbol}.${nameOf(value)}`);
  }
}

function addService(bytes: Buffer, scope: string, symbols: string[]): void {
  const symbol = `${scope}.${nameOf(bytes)}`;
  symbols.push(symbol);
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === serviceMethodField) symbols.push(`${symbol}.${nameOf(value)}`);
  }
}

function nameOf(bytes: Buffer): string {
  for (const [field, value] of fieldsOf(bytes)) if (field === nameField) return value.toString();
  return '';
}

/** The fields that have a length, in order; here no others matter. */
function* fieldsOf(bytes: Buffer): IterableIterator<[field: number, value: Buffer]> {
  const reader = new WireReader(bytes, 0, bytes.length);
  while (reader.next()) {
    if (!reader.is(wireType.bytes)) continue;
    const { field } = reader;
    const end = reader.lengthEnd();
    const value = bytes.subarray(reader.at, end);
    reader.at = end;
    yield [field, value];
  }
}
