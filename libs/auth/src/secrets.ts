/**
 * Secrets at rest. A key file holds lines `<key id> <32 bytes in base64>`: what is sealed is sealed under the first, and
 * what was sealed under any of them can be opened. To rotate: put a new line first, have every user sealed again, take
 * the old line out.
 *
 * AES-256-GCM with a nonce of its own each time; the user's name is bound in, so that no box does for another user.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

import type { SealedSecret } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** A secret in the clear. However it is printed, it is not shown. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }
  reveal(): string {
    return this.#text;
  }
  toString(): string {
    return '***';
  }
  toJSON(): string {
    return '***';
  }
  [inspect.custom](): string {
    return '***';
  }
}

/** One that nobody can guess, of letters and digits: it survives every shell and every configuration file. */
export function newSecret(): Secret {
  let text = '';
  while (text.length < secretLength)
    text += randomBytes(48)
      .toString('base64')
      .replace(/[^a-zA-Z0-9]/g, '');
  return new Secret(text.slice(0, secretLength));
}
const secretLength = 40;

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const keyIdsMax = 64;

export class SecretBox {
  private constructor(private readonly keys: ReadonlyMap<string, Buffer>) {}

  /** @param text of the key file. @throws MqError CONFIG */
  static of(text: string): SecretBox {
    const keys = new Map<string, Buffer>();
    for (const line of text.split(/\r?\n/)) {
      const bare = line.trim();
      if (bare === '' || bare.startsWith('#')) continue;
      const [id = '', key = '', ...rest] = bare.split(/\s+/);
      const bytes = Buffer.from(key, 'base64');
      if (!/^[a-zA-Z0-9_.-]{1,64}$/.test(id) || bytes.length !== keyBytes || rest.length > 0) {
        throw wrongFile(`line ${keys.size + 1} is no "<key id> <32 bytes in base64>"`);
      }
      if (keys.has(id)) throw wrongFile(`key id "${id}" stands twice`);
      keys.set(id, bytes);
    }
    if (keys.size === 0) throw wrongFile('there is no key in it');
    if (keys.size > keyIdsMax) throw wrongFile(`more than ${keyIdsMax} keys`);
    return new SecretBox(keys);
  }

  /** The text of a new key file. */
  static newFile(keyId: string): string {
    return `${keyId} ${randomBytes(keyBytes).toString('base64')}\n`;
  }

  /** Under which everything new is sealed. */
  get keyId(): string {
    const [first = ''] = this.keys.keys();
    return first;
  }

  seal(secret: Secret, owner: string): SealedSecret {
    const { keyId } = this;
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.keys.get(keyId) ?? Buffer.alloc(0), nonce);
    cipher.setAAD(Buffer.from(owner, 'utf8'));
    const parts = [nonce, cipher.update(secret.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()];
    return { keyId, box: Buffer.concat(parts).toString('base64url') };
  }

  /** @throws MqError CONFIG when the key is not in the file, or is another */
  open({ keyId, box }: SealedSecret, owner: string): Secret {
    const key = this.keys.get(keyId);
    if (!key) {
      const has = [...this.keys.keys()].join(', ');
      throw new MqError(
        'CONFIG',
        `the secret of user ${owner} is sealed under key "${keyId}"; the key file has ${has}`,
      );
    }
    const bytes = Buffer.from(box, 'base64url');
    try {
      const tagAt = bytes.length - tagBytes;
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(owner, 'utf8'));
      decipher.setAuthTag(bytes.subarray(tagAt));
      const text = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, tagAt)), decipher.final()]);
      return new Secret(text.toString('utf8'));
    } catch (caught) {
      throw new MqError(
        'CONFIG',
        `the secret of user ${owner} does not open: key "${keyId}" of the key file is another`,
        {
          cause: caught,
        },
      );
    }
  }

  /** Keys for another purpose, made from those of the file: the current one first. */
  derived(purpose: string): readonly { readonly keyId: string; readonly key: Buffer }[] {
    return [...this.keys].map(([keyId, key]) => ({
      keyId,
      key: Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), Buffer.from(purpose, 'utf8'), keyBytes)),
    }));
  }
}

function wrongFile(why: string): MqError {
  return new MqError('CONFIG', `the key file of secrets can't be used: ${why}`);
}
