// Goal: a secret is readable by who has its key and by nobody else, through rotations, and is shown nowhere by itself.
import { inspect } from 'node:util';

import { newSecret, Secret, SecretBox } from './secrets.js';

const old = SecretBox.newFile('2025');
const young = SecretBox.newFile('2026');

describe('a sealed secret', () => {
  it('opens with its key, before and after a rotation', () => {
    const sealed = SecretBox.of(old).seal(new Secret('s3cret-words'), 'ann');
    expect(sealed).toMatchObject({ keyId: '2025' });
    const rotated = SecretBox.of(young + old);
    expect(rotated.open(sealed, 'ann').reveal()).toBe('s3cret-words');
    expect(rotated.seal(new Secret('x'), 'ann').keyId).toBe('2026');
  });

  it('names the key that is missing, and the one that is another', () => {
    const sealed = SecretBox.of(old).seal(new Secret('s3cret-words'), 'ann');
    expect(() => SecretBox.of(young).open(sealed, 'ann')).toThrow('sealed under key "2025"; the key file has 2026');
    expect(() => SecretBox.of(SecretBox.newFile('2025')).open(sealed, 'ann')).toThrow(
      'key "2025" of the key file is another',
    );
  });

  it('does for no other user, and never twice the same', () => {
    const box = SecretBox.of(old);
    const sealed = box.seal(new Secret('s3cret-words'), 'ann');
    expect(() => box.open(sealed, 'bob')).toThrow('does not open');
    expect(box.seal(new Secret('s3cret-words'), 'ann').box).not.toBe(sealed.box);
    expect(JSON.stringify(sealed)).not.toContain('s3cret');
  });

  it.each([
    ['', 'there is no key in it'],
    ['k AAAA', 'line 1'],
    [old + old, 'stands twice'],
    ['k', 'line 1'],
  ])('is not asked of the key file %j', (text, why) => {
    expect(() => SecretBox.of(text)).toThrow(why);
  });
});

it('a secret is printed as stars, however it is printed', () => {
  const secret = new Secret('plain');
  const shown = [`${secret}`, JSON.stringify({ secret }), inspect({ secret }), inspect(secret, { showHidden: true })];
  expect(shown.join()).not.toContain('plain');
  expect(new Set(Array.from({ length: 100 }, () => newSecret().reveal())).size).toBe(100);
});
