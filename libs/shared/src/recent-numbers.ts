import { ByteReader, ByteWriter } from './byte-cursor.js';

const perPage = 1024;
const out = new ByteWriter();

/**
 * Remembers the last so many whole numbers (log positions, say) with a small value each, and forgets the oldest: for
 * answering a repeated call as the first one. Kept in pages, so that a checkpoint writes only what was added.
 */
export class RecentNumbers {
  /** A page is made when it is first written to. */
  private readonly numbers: Float64Array[] = [];
  private readonly values: Uint8Array[] = [];
  private readonly places = new Map<number, number>();
  /** How many were ever added; where the next goes, modulo the capacity. */
  private added = 0;
  private readonly dirty = new Set<number>();

  /** @param pages of 1,024 numbers each */
  constructor(private readonly pages: number) {}

  /** Undefined: not remembered. */
  get(number: number): number | undefined {
    const place = this.places.get(number);
    if (place === undefined) return undefined;
    return this.values[Math.floor(place / perPage)]?.[place % perPage];
  }

  add(number: number, value: number): void {
    const place = this.added % (this.pages * perPage);
    this.added += 1;
    this.put(place, number, value);
    this.dirty.add(Math.floor(place / perPage));
  }

  /** The pages that changed, each with how many were ever added: the newest page says where to go on. */
  takePages(): { readonly page: number; readonly value: Uint8Array }[] {
    const pages = [...this.dirty].map((page) => ({ page, value: this.encode(page) }));
    this.dirty.clear();
    return pages;
  }

  loadPage(page: number, value: Uint8Array): void {
    if (page >= this.pages) return; // It remembered more once.
    const from = new ByteReader(value);
    this.added = Math.max(this.added, from.whole());
    for (let place = page * perPage; !from.isAtEnd; place += 1) {
      const number = from.whole() - 1;
      const known = from.u8();
      if (number >= 0) this.put(place, number, known);
    }
  }

  private put(place: number, number: number, value: number): void {
    const page = Math.floor(place / perPage);
    const numbers = (this.numbers[page] ??= new Float64Array(perPage).fill(-1));
    const values = (this.values[page] ??= new Uint8Array(perPage));
    const before = numbers[place % perPage] as number;
    if (before >= 0 && this.places.get(before) === place) this.places.delete(before);
    numbers[place % perPage] = number;
    values[place % perPage] = value;
    this.places.set(number, place);
  }

  /** | ever added | (number + 1, or 0 | value u8) × 1,024 | */
  private encode(page: number): Uint8Array {
    out.begin();
    out.whole(this.added);
    for (let i = 0; i < perPage; i += 1) {
      out.whole((this.numbers[page]?.[i] ?? -1) + 1);
      out.u8(this.values[page]?.[i] ?? 0);
    }
    return out.taken();
  }
}
