/** What an expression reads of one message. Asked lazily: what no term looks at is never decoded. */
export interface MessageProperties {
  /** The message's tag, UTF-8; empty: it has none. */
  readonly tag: Uint8Array;
  /** Looks for these properties: from now on `text(i)` is the i-th of them. */
  seek(names: readonly PropertyName[]): void;
  /** Undefined: the message has no such property. */
  text(index: number): string | undefined;
}

/** A property's name, as text and as it stands in an encoded message. */
export interface PropertyName {
  readonly text: string;
  readonly utf8: Uint8Array;
}
