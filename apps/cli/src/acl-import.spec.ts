// Goal: users and policies come over from RocketMQ's files, with what can't come said, and no secret shown. Method: files
// as RocketMQ has them, the command line, and the real REST API over identities in memory.
import { startAdminFixture, type AdminFixture } from '@cometmq/admin/testing';
import { resourceIn } from '@cometmq/auth';
import { FakeIdentities } from '@cometmq/auth/testing';

import { FakeTerminal, type Ran } from './testing.js';

let fixture: AdminFixture;
let identities: FakeIdentities;
let me: FakeTerminal;

beforeEach(async () => {
  identities = new FakeIdentities();
  fixture = await startAdminFixture({ identities });
  identities.user('root', 'root-secret', { kind: 'super' });
  me = new FakeTerminal();
  me.env = { HOME: '/home/me', COMET_API: fixture.url, COMET_USER: 'root', COMET_SECRET: 'root-secret' };
});
afterEach(() => fixture.stop());

const comet = (...argv: string[]): Promise<Ran> => me.run(...argv);
const imported = (...argv: string[]): Promise<Ran> => comet('acl', 'import', ...argv);

const secrets = ['12345678', 'kQ9!planted-secret', '0099887766', 'planted-jane-pass', 'planted-bob-pass1'];
function shownNone({ out, err }: Ran): void {
  for (const secret of secrets) expect(out + err).not.toContain(secret);
}

/** Who may do what: `shop pub Topic:orders` → true. */
async function may(...question: readonly string[]): Promise<boolean> {
  const { code, err } = await comet('acl', 'test', ...question);
  expect(err).toBe('');
  return code === 0;
}
function secretOf(name: string): string | undefined {
  const user = identities.users.get(name);
  return user && identities.box.open(user.secret, name).reveal();
}

const plainAcl = `# Licensed to the Apache Software Foundation (ASF)
globalWhiteRemoteAddresses:
  - 10.10.103.*

accounts:
  - accessKey: RocketMQ
    secretKey: "kQ9!planted-secret"
    whiteRemoteAddress:
    admin: false
    defaultTopicPerm: SUB
    defaultGroupPerm: SUB
    topicPerms:
      - topicA=DENY
      - topicB=PUB|SUB
      - topicC=PUB
      - orders*=PUB
    groupPerms:
      # the group should convert to retry topic
      - groupA=DENY
      - groupB=PUB|SUB

  - accessKey: rocketmq2
    secretKey: 12345678
    whiteRemoteAddress: 192.168.1.*
    # if it is admin, it could access all resources
    admin: true

  - accessKey: numbers
    secretKey: 0099887766
    topicPerms: [ topicA=SUB ]
    groupPerms: [ groupA=SUB ]
  - accessKey: short
    secretKey: abcdefg
`;

describe('plain_acl.yml', () => {
  beforeEach(() => void me.files.set('plain_acl.yml', plainAcl));

  it('is shown first, line by line, and nothing is made', async () => {
    const shown = await imported('plain_acl.yml');
    expect(shown).toMatchObject({
      code: 0,
      err: expect.stringMatching(/^nothing was changed: 4 users and \d+ policies would be made, 4 left out; add --yes/),
    });
    shownNone(shown);
    expect([...identities.users.keys()]).toEqual(['root']);
    const { out } = await imported('plain_acl.yml', '-o', 'json');
    const steps = JSON.parse(out) as { step: string; line: number; user: string; what: string }[];
    expect(steps.filter(({ step }) => step === 'left out').map(({ line, user }) => [line, user])).toEqual([
      [3, 'everybody'],
      [16, 'RocketMQ'],
      [24, 'rocketmq2'],
      [32, 'short'],
    ]);
    expect(steps).toContainEqual(
      expect.objectContaining({
        step: 'policy',
        line: 14,
        user: 'RocketMQ',
        what: 'allow pub,sub,get on Topic:topicB',
      }),
    );
  });

  it('comes to the same rights', async () => {
    const made = await imported('plain_acl.yml', '--yes');
    expect(made).toMatchObject({ code: 0, err: expect.stringContaining('made 4 users') });
    shownNone(made);
    expect(secretOf('RocketMQ')).toBe('kQ9!planted-secret');
    expect(secretOf('numbers')).toBe('0099887766');
    expect(secretOf('short')).toHaveLength(40);
    expect(identities.users.get('rocketmq2')).toMatchObject({ kind: 'super', enabled: true });
    const rights: Record<string, boolean> = {};
    const questions = [
      ['RocketMQ', 'sub', 'Topic:elsewhere', true],
      ['RocketMQ', 'pub', 'Topic:elsewhere', false],
      ['RocketMQ', 'sub', 'Topic:topicA', false],
      ['RocketMQ', 'pub', 'Topic:topicB', true],
      ['RocketMQ', 'sub', 'Topic:topicB', true],
      // Its own permission hides the default, which would allow it.
      ['RocketMQ', 'sub', 'Topic:topicC', false],
      ['RocketMQ', 'pub', 'Topic:topicC', true],
      // No prefix in these files.
      ['RocketMQ', 'pub', 'Topic:orders1', false],
      ['RocketMQ', 'sub', 'Group:groupA', false],
      ['RocketMQ', 'sub', 'Topic:%RETRY%groupA', false],
      ['RocketMQ', 'sub', 'Group:groupB', true],
      ['RocketMQ', 'sub', 'Topic:%RETRY%groupB', true],
      ['RocketMQ', 'sub', 'Group:any-other', true],
      ['numbers', 'sub', 'Topic:topicA', true],
      ['numbers', 'pub', 'Topic:topicA', false],
      ['numbers', 'sub', 'Topic:topicB', false],
      ['numbers', 'sub', 'Topic:%RETRY%groupA', true],
      ['numbers', 'sub', 'Group:groupB', false],
      ['short', 'sub', 'Topic:topicA', false],
    ] as const;
    for (const [user, action, resource] of questions) {
      rights[`${user} ${action} ${resource}`] = await may(user, action, resource);
    }
    expect(rights).toEqual(
      Object.fromEntries(
        questions.map(([user, action, resource, allowed]) => [`${user} ${action} ${resource}`, allowed]),
      ),
    );
  });

  it('may be taken over again, and takes nothing away of what is there', async () => {
    identities.user('numbers', 'kept-secret', { kind: 'normal' });
    await imported('plain_acl.yml', '--yes');
    expect(secretOf('numbers')).toBe('kept-secret');
    expect(await may('numbers', 'sub', 'Topic:topicA')).toBe(true);
    await comet('acl', 'allow', 'numbers', 'pub', 'Topic:mine');
    const again = await imported('plain_acl.yml', '--yes');
    expect(again).toMatchObject({ code: 0, err: expect.stringContaining('made 0 users and 0 policies') });
    expect(await may('numbers', 'pub', 'Topic:mine')).toBe(true);
  });

  it('takes nothing away of what somebody else allows meanwhile', async () => {
    identities.user('numbers', 'kept-secret', { kind: 'normal' });
    me.fetch = async (url, init) => {
      if (init?.method === 'PUT' && (url as string).includes('/users/numbers/')) {
        const entry = { policy: 'custom', sourceIps: [], decision: 'allow', actions: ['pub'] } as const;
        identities.allow('numbers', { ...entry, resource: resourceIn('Topic:mine') });
      }
      return fetch(url, init);
    };
    const refused = await imported('plain_acl.yml', '--yes');
    expect(refused).toMatchObject({
      code: 4,
      err: expect.stringContaining('changed the policies of numbers meanwhile'),
    });
    expect(await may('numbers', 'pub', 'Topic:mine')).toBe(true);
    me.fetch = (...request) => fetch(...request);
    expect(await imported('plain_acl.yml', '--yes')).toMatchObject({ code: 0 });
    expect(await may('numbers', 'pub', 'Topic:mine')).toBe(true);
  });

  it('goes on where it was stopped', async () => {
    let calls = 0;
    me.fetch = (url, init) => {
      if (init?.method === 'PUT' && (calls += 1) === 1) return Promise.reject(new TypeError('cut'));
      return fetch(url, init);
    };
    const cut = await imported('plain_acl.yml', '--yes');
    expect(cut.code).not.toBe(0);
    expect(cut.err).toContain('user "RocketMQ": ');
    expect(cut.err).toContain('0 of 4 users are through; run it again to go on');
    shownNone(cut);
    expect(await imported('plain_acl.yml', '--yes')).toMatchObject({ code: 0 });
    expect(await may('RocketMQ', 'pub', 'Topic:topicB')).toBe(true);
    expect(secretOf('RocketMQ')).toBe('kQ9!planted-secret');
  });
});

describe('ACL 2.0', () => {
  const users = `RocketMQLog:WARN No appenders could be found for logger (io.netty.util.internal.InternalThreadLocalMap).
#UserName         #Password               #UserType               #UserStatus           
jane              planted-jane-pass       Normal                  enable                
bob               planted-bob-pass1       Super                   disable               
get user from 127.0.0.1:10911 success.
`;
  const acls = `#Subject          #PolicyType             #Resource               #Actions                #SourceIp               #Decision             
User:jane         Custom                  Topic:orders*           [Pub, Sub]              [192.168.0.0/24, 10.1.*.*]  Allow                 
User:jane         Custom                  Topic:orders-secret     [All]                   null                    Deny                  
User:jane         Default                 Group:*                 [Sub]                   []                      Allow                 
User:jane         Custom                  Topic:x                 [Pub]                   [10.0.0.1-10.0.0.9]     Allow                 
User:nobody       Custom                  Topic:x                 [Pub]                   null                    Allow                 
list acls from 127.0.0.1:10911 success.
`;
  const json = JSON.stringify(
    {
      users: [
        { username: 'jane', password: 'planted-jane-pass', userType: 'Normal', userStatus: 'enable' },
        { username: 'bob', password: 'planted-bob-pass1', userType: 'Super', userStatus: 'disable' },
      ],
      acls: [
        {
          subject: 'User:jane',
          policies: [
            {
              policyType: 'Custom',
              entries: [
                {
                  ...{ resource: 'Topic:orders*', actions: ['Pub', 'Sub'], decision: 'Allow' },
                  sourceIps: ['192.168.0.0/24', '10.1.*.*'],
                },
                { resource: 'Topic:orders-secret', actions: 'All', sourceIps: null, decision: 'Deny' },
                { resource: 'Topic:x', actions: ['Pub'], sourceIps: ['10.0.0.1-10.0.0.9'], decision: 'Allow' },
              ],
            },
            { policyType: 'Default', entries: [{ resource: 'Group:*', actions: ['Sub'], decision: 'Allow' }] },
          ],
        },
        {
          subject: 'User:nobody',
          policies: [{ entries: [{ resource: 'Topic:x', actions: ['Pub'], decision: 'Allow' }] }],
        },
      ],
    },
    undefined,
    2,
  );

  it.each([
    ['tables of mqadmin', { 'users.txt': users, 'acls.txt': acls }],
    ['the same, of two brokers', { 'all.txt': users + acls + users + acls }],
    ['JSON', { 'acl.json': json }],
  ])('comes over from %s', async (_, files) => {
    for (const [name, text] of Object.entries(files)) me.files.set(name, text);
    const shown = await imported(...Object.keys(files), '-o', 'jsonl');
    shownNone(shown);
    const left = shown.out
      .split('\n')
      .filter((line) => line.includes('"left out"'))
      .map((line) => (JSON.parse(line) as { what: string }).what);
    expect(left.filter((what) => what.includes('10.0.0.1-10.0.0.9'))).not.toEqual([]);
    expect(left).toContain('there is no user "nobody", here or in the cluster; with 1 policy');
    const made = await imported(...Object.keys(files), '--yes');
    expect(made).toMatchObject({ code: 0, err: expect.stringContaining('made 2 users and 3 policies') });
    shownNone(made);
    expect(secretOf('jane')).toBe('planted-jane-pass');
    expect(identities.users.get('bob')).toMatchObject({ kind: 'super', enabled: false });
    expect(await may('jane', 'pub', 'Topic:orders-eu', '--from', '10.1.7.7')).toBe(true);
    expect(await may('jane', 'pub', 'Topic:orders-eu', '--from', '10.2.7.7')).toBe(false);
    expect(await may('jane', 'sub', 'Topic:orders-secret', '--from', '10.1.7.7')).toBe(false);
    expect(await may('jane', 'sub', 'Group:billing')).toBe(true);
    // Without its addresses it would have allowed more.
    expect(await may('jane', 'pub', 'Topic:x')).toBe(false);
  });
});

it.each([
  ['plain_acl.yml', 2, 'given twice', 'accounts: []\naccounts: []\n'],
  ['plain_acl.yml', 3, 'must be quoted', 'accounts:\n  - accessKey: a\n    secretKey: *planted\n'],
  ['plain_acl.yml', 3, 'must be quoted', 'accounts:\n  - accessKey: a\n    secretKey: !planted\n'],
  ['plain_acl.yml', 3, 'must be quoted', 'accounts:\n  - accessKey: a\n    secretKey: @planted\n'],
  ['plain_acl.yml', 3, 'no valid YAML', 'accounts:\n  - accessKey: a\n    secretKey: planted: planted\n'],
  ['plain_acl.yml', 2, 'has no accessKey', 'accounts:\n  - secretKey: planted1\n'],
  ['plain_acl.yml', 2, 'must be a map', 'accounts:\n  - planted\n'],
  ['plain_acl.yml', 3, 'must be one word', 'accounts:\n  - accessKey: a\n    secretKey: [planted]\n'],
  ['plain_acl.yml', 3, 'twice', 'accounts:\n  - accessKey: a\n  - accessKey: a\n'],
  ['plain_acl.yml', 3, 'a permission is one of', 'accounts:\n  - accessKey: a\n    defaultTopicPerm: planted\n'],
  ['plain_acl.yml', 4, 'name=permission', 'accounts:\n  - accessKey: a\n    topicPerms:\n    - a=PUB=planted\n'],
  ['plain_acl.yml', 3, 'true or false', 'accounts:\n  - accessKey: a\n    admin: planted\n'],
  ['acl.json', 1, 'no valid YAML', `${'['.repeat(100_000)}planted`],
  ['acl.json', 1, 'neither', '{"planted": 1}'],
  ['acl.json', 1, 'no file of', '"planted"'],
  ['acl.json', 1, 'no username', '[{"password": "planted"}]'],
  ['acl.json', 1, 'userType', '[{"username": "a", "userType": "planted"}]'],
  ['acl.json', 1, 'a subject', '[{"subject": "planted", "policies": [{"entries": [{"resource": "*"}]}]}]'],
  ['users.txt', 2, 'a user is', '#UserName  #Password  #UserType\nplanted\n'],
  ['users.txt', 3, 'another type', '#UserName  #Password  #UserType\na  planted1  Super\na  planted2  Super\n'],
  [
    'acls.txt',
    3,
    'a Deny',
    '#Subject  #PolicyType\nUser:a  Custom  Topic:*  [Pub]  null  Allow\nUser:a  Custom  Topic:x  [planted]  null  Deny\n',
  ],
  ['acls.txt', 2, 'a policy is', '#Subject  #PolicyType\nUser:a  Custom  planted\n'],
])('%s is refused in line %i: %s', async (file, line, why, text) => {
  me.files.set(file, text);
  const { code, out, err } = await imported(file, '--yes');
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(new RegExp(`^comet: ${file}:${line}: .*${why}`));
  expect(err).not.toContain('planted');
  expect([...identities.users.keys()]).toEqual(['root']);
});

it('gives nothing to a user who is disabled in the file and enabled here', async () => {
  me.files.set(
    'all.txt',
    '#UserName  #Password  #UserType  #UserStatus\neve  planted-eve-pass  Normal  disable\n' +
      '#Subject  #PolicyType\nUser:eve  Custom  Topic:*  [Pub]  null  Allow\n',
  );
  const cut = (me.fetch = (url, init) =>
    init?.method === 'PATCH' ? Promise.reject(new TypeError('cut')) : fetch(url, init));
  expect((await imported('all.txt', '--yes')).code).not.toBe(0);
  expect(identities.users.get('eve')).toMatchObject({ enabled: true });
  expect(me.fetch).toBe(cut);
  const again = await imported('all.txt', '--yes', '-o', 'jsonl');
  expect(again.out).toContain('disable it first');
  expect(await may('eve', 'pub', 'Topic:x')).toBe(false);
});

it('says which file is not there', async () => {
  expect(await imported('nowhere.yml')).toMatchObject({ code: 2, err: 'comet: nowhere.yml: no such file\n' });
});
