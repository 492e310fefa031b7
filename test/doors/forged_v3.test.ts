/**
 * The same for API v3: what a fault of WeChat's, a mixed-up merchant or somebody with both keys could post to the
 * notify doors. Each message of the matrix is sealed with our APIv3 key and signed with the platform's own key, so only
 * what it says can refuse it; the others are wrong in their frame. All of them stand in the archive as they came.
 */
import { createCipheriv, createPrivateKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKeyring } from '../../simulator/keys.ts';
import { type Counter, openCounter, type Shopper, type SimulatedMerchant } from '../setup/counter.ts';
import { knock } from '../setup/host.ts';
import { STRANGER_KEY_PEM } from '../vectors/v3-platform-keys.ts';

const seed = 'forged-v3';
const platform_key = createKeyring(seed).key('platform public key');

let counter: Counter;
let shopper: Shopper;
let merchant: SimulatedMerchant;
/** An order of 12800 fen with its open trade, which no test of this file may move. */
let open = { order_no: '', out_trade_no: '' };
/** WeChat's number of a payment that paid another trade of ours. */
let used = '';

beforeAll(async () => {
  counter = await openCounter({ api_version: 'v3', simulator: { seed } });
  shopper = counter.shopper();
  await shopper.signIn();
  const [first] = counter.simulator_config.merchants;
  if (first === undefined) throw new Error('the simulator has no merchant');
  merchant = first;
  open = await freshTrade('longjing');
  const other = await freshTrade();
  const text = message(resourceOf(other.out_trade_no));
  expect((await post(text)).status).toBe(204);
  const { db } = counter.ctx;
  const row = await db.trade.findUniqueOrThrow({ where: { out_trade_no: other.out_trade_no } });
  used = row.transaction_id ?? '';
});
afterAll(() => counter.close());
// Each of these forgeries is meant to leave its row, however many come in a minute.
beforeEach(() => counter.ctx.db.tally.deleteMany());

async function freshTrade(product_id?: string): Promise<{ order_no: string; out_trade_no: string }> {
  const { order_no } = await shopper.order(product_id);
  return { order_no, out_trade_no: (await shopper.pay(order_no)).out_trade_no };
}

/** Members in order, a name with a point is one level down; the values are JSON text. */
type Members = readonly (readonly [name: string, json: string])[];

function jsonOf(members: Members): string {
  const parts: string[] = [];
  const objects = new Map<string, string[]>();
  for (const [name, json] of members) {
    const [head = '', inner] = name.split('.');
    if (inner === undefined) {
      parts.push(`"${head}":${json}`);
      continue;
    }
    const known = objects.get(head);
    if (known === undefined) objects.set(head, [`"${inner}":${json}`]);
    else known.push(`"${inner}":${json}`);
  }
  for (const [name, inner] of objects) parts.push(`"${name}":{${inner.join(',')}}`);
  return `{${parts.join(',')}}`;
}

const quoted = (text: string): string => JSON.stringify(text);
const without = (members: Members, name: string): Members => members.filter(([each]) => each !== name);
const put = (members: Members, name: string, json: string): Members => [
  ...without(members, name),
  [name, json],
];

let numbers = 0;
/** What WeChat would say of a trade of one fen. */
function resourceOf(out_trade_no: string, total = 1): Members {
  numbers += 1;
  return [
    ['mchid', quoted(merchant.mch_id)],
    ['appid', quoted(merchant.appid)],
    ['out_trade_no', quoted(out_trade_no)],
    ['transaction_id', quoted(`42000021${String(numbers).padStart(20, '0')}`)],
    ['trade_type', '"JSAPI"'],
    ['trade_state', '"SUCCESS"'],
    ['trade_state_desc', '"支付成功"'],
    ['bank_type', '"OTHERS"'],
    ['attach', '""'],
    ['success_time', '"2026-11-23T18:30:07+08:00"'],
    ['payer.openid', quoted(shopper.openid)],
    ['amount.total', String(total)],
    ['amount.payer_total', String(total)],
    ['amount.currency', '"CNY"'],
    ['amount.payer_currency', '"CNY"'],
  ];
}

interface Frame {
  resource_key: string;
  associated_data: string;
  envelope: (members: Members) => Members;
}

/** The envelope around a resource, sealed as WeChat seals it unless told otherwise. */
function message(resource: Members | string, frame: Partial<Frame> = {}, kind = 'transaction'): string {
  const plain = typeof resource === 'string' ? resource : jsonOf(resource);
  const nonce = randomBytes(6).toString('hex');
  const cipher = createCipheriv('aes-256-gcm', frame.resource_key ?? merchant.api_v3_key, nonce);
  cipher.setAAD(Buffer.from(frame.associated_data ?? kind));
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  const members: Members = [
    ['id', quoted(`EV-${randomBytes(16).toString('hex')}`)],
    ['create_time', '"2026-11-23T18:30:08+08:00"'],
    ['resource_type', '"encrypt-resource"'],
    ['event_type', kind === 'transaction' ? '"TRANSACTION.SUCCESS"' : '"REFUND.SUCCESS"'],
    ['summary', '"支付成功"'],
    ['resource.algorithm', '"AEAD_AES_256_GCM"'],
    ['resource.original_type', quoted(kind)],
    ['resource.ciphertext', quoted(sealed.toString('base64'))],
    ['resource.associated_data', quoted(frame.associated_data ?? kind)],
    ['resource.nonce', quoted(nonce)],
  ];
  return jsonOf(frame.envelope?.(members) ?? members);
}

interface Signing {
  key: KeyObject;
  serial: string;
  at_s: number;
  /** Signs this text instead of the body. */
  over: string;
  /** Replaces single headers; an empty one is left out. */
  headers: Record<string, string>;
}

function signed(body: string, signing: Partial<Signing> = {}): Record<string, string> {
  const timestamp = String(signing.at_s ?? Math.floor(Date.now() / 1_000));
  const nonce = randomBytes(16).toString('hex');
  const text = `${timestamp}\n${nonce}\n${signing.over ?? body}\n`;
  const headers = {
    'content-type': 'application/json',
    'wechatpay-serial': signing.serial ?? merchant.platform_public_key_id,
    'wechatpay-timestamp': timestamp,
    'wechatpay-nonce': nonce,
    'wechatpay-signature': sign('sha256', Buffer.from(text), signing.key ?? platform_key).toString('base64'),
    'wechatpay-signature-type': 'WECHATPAY2-SHA256-RSA2048',
    ...signing.headers,
  };
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''));
}

const post = (body: string, headers = signed(body), door = 'payment'): Promise<Response> =>
  knock(new Request(`${counter.host.origin}/api/notify/v3/${door}`, { method: 'POST', body, headers }));

/** Every row a notification might move, without the archive. */
async function rows(): Promise<string> {
  const { db } = counter.ctx;
  return JSON.stringify([
    await db.order.findMany({ orderBy: { order_no: 'asc' } }),
    await db.trade.findMany({ orderBy: { out_trade_no: 'asc' } }),
    await db.refund.count(),
    await db.event.count(),
    await db.$queryRaw<{ count: number }[]>`SELECT count(*)::int AS count FROM pgboss.job`,
  ]);
}

/** Posts it, expects it refused with no row moved and the message archived as it came; returns what the archive says. */
async function refused(body: string, headers = signed(body), door = 'payment') {
  const { db } = counter.ctx;
  const before = await rows();
  const known = new Set((await db.notification.findMany({ select: { id: true } })).map(({ id }) => id));
  const answer = await post(body, headers, door);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ code: 'FAIL' });
  expect(await rows()).toBe(before);
  const fresh = (await db.notification.findMany()).filter(({ id }) => !known.has(id));
  expect(fresh).toHaveLength(1);
  const [row] = fresh;
  if (row === undefined) throw new Error('nothing was archived');
  expect(Buffer.from(row.body).toString('utf8')).toBe(body);
  expect(row).toMatchObject({ api_version: 'v3', kind: door });
  return row;
}

const ways = ['changed', 'missing', 'doubled', 'empty', 'of another merchant'] as const;
type Way = (typeof ways)[number];

interface Row {
  changed: () => string;
  foreign: () => string;
  /** What is taken all the same, and why that is right. */
  taken?: { ways: readonly Way[]; why: string };
}

const unread = (why: string, value: string, other: string): Row => ({
  changed: () => value,
  foreign: () => other,
  taken: { ways: ['changed', 'missing', 'empty', 'of another merchant'], why },
});

/** The sealed resource's members. */
const inside: Record<string, Row> = {
  mchid: { changed: () => '"1900000999"', foreign: () => '"1900000110"' },
  appid: { changed: () => '"wx0000000000000000"', foreign: () => '"wxfedcba9876543210"' },
  out_trade_no: { changed: () => '"NOBODYPLACEDTHIS"', foreign: () => '"20261123183007ABCDEFGHJKMNPQRS"' },
  transaction_id: { changed: () => '"not a number"', foreign: () => quoted(used) },
  trade_type: { changed: () => '"NATIVE"', foreign: () => '"MWEB"' },
  trade_state: { changed: () => '"CLOSED"', foreign: () => '"NOTPAY"' },
  success_time: {
    changed: () => '"yesterday"',
    foreign: () => '"2026-11-23T18:29:59+08:00"',
    taken: {
      ways: ['of another merchant'],
      why: 'the moment is WeChat’s alone to know; nothing of ours to compare',
    },
  },
  'payer.openid': {
    changed: () => '"oSomebodyElse000000000000000"',
    foreign: () => '"oOfAnotherAccount00000000000"',
  },
  'amount.total': { changed: () => '2', foreign: () => '12800' },
  'amount.payer_total': {
    changed: () => '2',
    foreign: () => '12800',
    taken: {
      ways: ['missing', 'empty'],
      why: 'how much of it was a coupon; the order’s amount is amount.total',
    },
  },
  'amount.currency': {
    changed: () => '"USD"',
    foreign: () => '"HKD"',
    taken: { ways: ['missing', 'empty'], why: 'WeChat leaves it out where only CNY can be meant' },
  },
  'amount.payer_currency': unread('what the payer’s card was charged in', '"USD"', '"HKD"'),
  bank_type: unread('shown to the operator, decides nothing', '"MOON_DEBIT"', '"CMB_CREDIT"'),
  attach: unread('an echo of what we never send', '"order=1"', '"theirs"'),
  trade_state_desc: unread('a sentence for people', '"已关闭"', '"支付成功，谢谢"'),
  // A merchant of his own has neither; absent is what our row says.
  sub_mchid: {
    changed: () => '"1900000999"',
    foreign: () => '"1900000110"',
    taken: { ways: ['missing', 'empty'], why: 'our trade has none' },
  },
  sub_appid: {
    changed: () => '"wx0000000000000000"',
    foreign: () => '"wxfedcba9876543210"',
    taken: { ways: ['missing', 'empty'], why: 'our trade has none' },
  },
  sp_mchid: {
    changed: () => '"1900000999"',
    foreign: () => '"1900000110"',
    taken: { ways: ['missing', 'empty'], why: 'our trade is no partner’s' },
  },
};

/** The envelope's members. */
const outside: Record<string, Row> = {
  id: {
    changed: () => '"EV-another"',
    foreign: () => '"EV-theirs"',
    taken: { ways: ['changed', 'of another merchant'], why: 'names the message, not the payment' },
  },
  event_type: { changed: () => '"TRANSACTION.CLOSED"', foreign: () => '"REFUND.SUCCESS"' },
  resource_type: { changed: () => '"plain-resource"', foreign: () => '"x"' },
  'resource.algorithm': { changed: () => '"AEAD_AES_128_GCM"', foreign: () => '"AEAD_SM4_GCM"' },
  'resource.original_type': { changed: () => '"refund"', foreign: () => '"mch_payment"' },
  'resource.ciphertext': {
    changed: () => quoted(randomBytes(80).toString('base64')),
    foreign: () => quoted(sealedFor('another merchant’s key, 32 bytes'.slice(0, 30))),
  },
  'resource.nonce': { changed: () => '"000000000000"', foreign: () => '"abcdefabcdef"' },
  'resource.associated_data': { changed: () => '"refund"', foreign: () => '"certificate"' },
  create_time: unread('when the message was made, not the payment', '"yesterday"', '"2020-01-01T00:00:00Z"'),
  summary: unread('a sentence for people', '"退款成功"', '"x"'),
};

/** A genuine resource under another merchant's APIv3 key. */
function sealedFor(name: string): string {
  const key = Buffer.from(name).toString('hex').slice(0, 32);
  const cipher = createCipheriv('aes-256-gcm', key, '0123456789ab').setAAD(Buffer.from('transaction'));
  const text = jsonOf(resourceOf(open.out_trade_no, 12_800));
  return Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

function tamper(members: Members, field: string, way: Way, { changed, foreign }: Row): Members {
  const own = members.find(([name]) => name === field)?.[1] ?? changed();
  switch (way) {
    case 'changed':
      return put(members, field, changed());
    case 'missing':
      return without(members, field);
    case 'doubled':
      return [...put(members, field, own), [field, own]];
    case 'empty':
      return put(members, field, '""');
    case 'of another merchant':
      return put(members, field, foreign());
  }
}

describe('the tamper matrix: rightly sealed, rightly signed, and wrong', () => {
  const table = [
    ...Object.entries(inside).map(([field, row]) => ({ field, row, sealed: true })),
    ...Object.entries(outside).map(([field, row]) => ({ field, row, sealed: false })),
  ];
  const all = table.flatMap(({ field, row, sealed }) =>
    ways.map((way) => ({ field, way, row, sealed, why: row.taken?.ways.includes(way) ? row.taken.why : '' })),
  );
  const tampered = (out_trade_no: string, { field, way, row, sealed }: (typeof all)[number]): string => {
    const resource = resourceOf(out_trade_no);
    return sealed
      ? message(tamper(resource, field, way, row))
      : message(resource, { envelope: (members) => tamper(members, field, way, row) });
  };
  let trade = { order_no: '', out_trade_no: '' };
  beforeAll(async () => {
    trade = await freshTrade();
  });

  test('it is a matrix of at least fourteen fields and five ways, most of it refused', () => {
    expect(Object.keys(inside).length).toBeGreaterThanOrEqual(14);
    expect(all.length).toBe((Object.keys(inside).length + Object.keys(outside).length) * 5);
    expect(all.filter(({ why }) => why === '').length).toBeGreaterThan(90);
  });

  test.each(all.filter(({ why }) => why === ''))('$field $way: refused', async (each) => {
    const { verdict } = await refused(tampered(trade.out_trade_no, each));
    expect(verdict).toMatch(/^(malformed|mismatch|unknown_order|undecryptable|not_success)$/);
  });

  test.each(all.filter(({ why }) => why !== ''))('$field $way: taken, because: $why', async (each) => {
    const mine = await freshTrade();
    expect((await post(tampered(mine.out_trade_no, each))).status).toBe(204);
    const order = await counter.ctx.db.order.findUniqueOrThrow({ where: { order_no: mine.order_no } });
    expect(order).toMatchObject({ state: 'SUCCESS', total_fen: 1, paid_trade_no: mine.out_trade_no });
  });

  test('and the untouched message is taken: the matrix tests its fields, not its frame', async () => {
    expect((await post(message(resourceOf(trade.out_trade_no)))).status).toBe(204);
    const row = await counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no: trade.out_trade_no } });
    expect(row.trade_state).toBe('SUCCESS');
  });
});

describe('negative notifications: the frame is wrong, what it says would pay our trade', () => {
  const genuine = (): string => message(resourceOf(open.out_trade_no, 12_800));
  const stranger = createPrivateKey(STRANGER_KEY_PEM);
  const now_s = (): number => Math.floor(Date.now() / 1_000);
  const headersOnly: [string, string, (body: string) => Record<string, string>][] = [
    ['unsigned', 'bad_signature', () => ({ 'content-type': 'application/json' })],
    ['signed by a stranger under WeChat’s name', 'bad_signature', (body) => signed(body, { key: stranger })],
    [
      'signed by a stranger under his own',
      'unknown_serial',
      (body) => signed(body, { key: stranger, serial: 'FFFF0123456789ABCDEF0123456789ABCDEF0123' }),
    ],
    ['another serial, rightly signed', 'unknown_serial', (body) => signed(body, { serial: 'PUB_KEY_ID_0' })],
    ['five minutes old', 'stale', (body) => signed(body, { at_s: now_s() - 301 })],
    ['five minutes early', 'stale', (body) => signed(body, { at_s: now_s() + 301 })],
    ['of 1970', 'stale', (body) => signed(body, { at_s: 1 })],
    [
      'signed over another body',
      'bad_signature',
      (body) => signed(body, { over: body.replace('EV-', 'EV_') }),
    ],
    [
      'the probe of WeChat',
      'probe',
      (body) => signed(body, { headers: { 'wechatpay-signature': `WECHATPAY/SIGNTEST/${'A'.repeat(336)}` } }),
    ],
    [
      'no algorithm worth the name',
      'bad_signature',
      (body) => signed(body, { headers: { 'wechatpay-signature-type': 'none' } }),
    ],
    [
      'an empty signature',
      'bad_signature',
      (body) => signed(body, { headers: { 'wechatpay-signature': '' } }),
    ],
    [
      'a signature that is no Base64',
      'bad_signature',
      (body) => signed(body, { headers: { 'wechatpay-signature': '!!!!' } }),
    ],
    ['no timestamp', 'bad_signature', (body) => signed(body, { headers: { 'wechatpay-timestamp': '' } })],
    [
      'a timestamp that is no number',
      'bad_signature',
      (body) => signed(body, { headers: { 'wechatpay-timestamp': '1e9' } }),
    ],
    ['no nonce', 'bad_signature', (body) => signed(body, { headers: { 'wechatpay-nonce': '' } })],
  ];
  test.each(headersOnly)('%s: %s', async (_what, verdict, headersFor) => {
    const body = genuine();
    expect((await refused(body, headersFor(body))).verdict).toBe(verdict);
  });

  const bodies: [string, string, () => string][] = [
    [
      'sealed with another key',
      'undecryptable',
      () => message(resourceOf(open.out_trade_no, 12_800), { resource_key: 'x'.repeat(32) }),
    ],
    [
      'the resource in plain text beside the envelope',
      'malformed',
      () =>
        message('{}', {
          envelope: (members) => [
            ...members.filter(([name]) => !name.startsWith('resource.')),
            ['resource', jsonOf(resourceOf(open.out_trade_no, 12_800))],
          ],
        }),
    ],
    [
      'the resource alone, not sealed at all',
      'malformed',
      () => jsonOf(resourceOf(open.out_trade_no, 12_800)),
    ],
    [
      'WeChat’s number as a number, rounded on its way',
      'malformed',
      () =>
        message(put(resourceOf(open.out_trade_no, 12_800), 'transaction_id', '4200002137202609101234567890')),
    ],
    [
      'the amount as a text',
      'malformed',
      () => message(put(resourceOf(open.out_trade_no), 'amount.total', '"12800"')),
    ],
    [
      'the amount as 12800.0',
      'malformed',
      () => message(put(resourceOf(open.out_trade_no), 'amount.total', '12800.0')),
    ],
    [
      'the amount as 1.28e4',
      'malformed',
      () => message(put(resourceOf(open.out_trade_no), 'amount.total', '1.28e4')),
    ],
    [
      'an amount under zero',
      'malformed',
      () => message(put(resourceOf(open.out_trade_no), 'amount.total', '-12800')),
    ],
    [
      'an amount of 2^32 more',
      'malformed',
      () => message(put(resourceOf(open.out_trade_no), 'amount.total', '4294980096')),
    ],
    ['a swapped amount', 'mismatch', () => message(resourceOf(open.out_trade_no, 12_801))],
    ['v2’s XML', 'malformed', () => '<xml><return_code>SUCCESS</return_code></xml>'],
    ['a billion laughs', 'malformed', () => '<!DOCTYPE x [<!ENTITY a "ha">]><xml>&a;</xml>'],
    ['an array', 'malformed', () => '[]'],
    ['no JSON', 'malformed', () => 'SUCCESS'],
    ['a tail', 'malformed', () => `${genuine()}{}`],
    ['__proto__', 'malformed', () => genuine().replace('{', '{"__proto__":{},')],
    ['nested a thousand times', 'malformed', () => `${'['.repeat(1_000)}${']'.repeat(1_000)}`],
  ];
  test.each(bodies)('%s: %s', async (_what, verdict, make) => {
    const body = make();
    const { db } = counter.ctx;
    const before = await rows();
    const answer = await post(body);
    // XML is answered in XML, whose HTTP status says nothing.
    expect(answer.status).toBe(body.startsWith('<') ? 200 : 400);
    expect(await answer.text()).toContain('FAIL');
    expect(await rows()).toBe(before);
    const [row] = await db.notification.findMany({ orderBy: [{ received_at: 'desc' }], take: 1 });
    expect(Buffer.from(row?.body ?? []).toString('utf8')).toBe(body);
    expect(row?.verdict).toBe(verdict);
  });

  test('a replay within the five minutes pays nothing twice', async () => {
    const mine = await freshTrade();
    const body = message(resourceOf(mine.out_trade_no));
    const headers = signed(body);
    expect((await post(body, headers)).status).toBe(204);
    const before = await rows();
    expect((await post(body, headers)).status).toBe(204);
    expect(await rows()).toBe(before);
  });
});

describe('the refund door asks WeChat about nothing that is not believed', () => {
  const resource = (): Members => [
    ['mchid', quoted(merchant.mch_id)],
    ['out_trade_no', quoted(open.out_trade_no)],
    ['transaction_id', '"4200002137202609101234567890"'],
    ['out_refund_no', '"R20261123183007"'],
    ['refund_id', '"50310108072026091004276947708"'],
    ['refund_status', '"SUCCESS"'],
    ['success_time', '"2026-11-23T18:30:07+08:00"'],
    ['amount.total', '12800'],
    ['amount.refund', '12800'],
    ['user_received_account', '"支付用户零钱"'],
  ];
  const make = (change: (members: Members) => Members = (members) => members): string =>
    message(change(resource()), {}, 'refund');
  const asked = async (): Promise<number> => {
    const { entries } = await counter.control<{ entries: { path: string }[] }>('log?limit=2000');
    return entries.filter(({ path }) => path.startsWith('/v3/refund/')).length;
  };
  const corpus: [string, string, () => [string, Record<string, string>?]][] = [
    ['unsigned', 'bad_signature', () => [make(), { 'content-type': 'application/json' }]],
    [
      'signed by a stranger',
      'bad_signature',
      () => {
        const body = make();
        return [body, signed(body, { key: createPrivateKey(STRANGER_KEY_PEM) })];
      },
    ],
    [
      'stale',
      'stale',
      () => {
        const body = make();
        return [body, signed(body, { at_s: Math.floor(Date.now() / 1_000) - 301 })];
      },
    ],
    ['of another merchant', 'malformed', () => [make((each) => put(each, 'mchid', '"1900000110"'))]],
    [
      'a state that is not the event’s',
      'malformed',
      () => [make((each) => put(each, 'refund_status', '"CLOSED"'))],
    ],
    ['a payment’s resource', 'malformed', () => [message(resourceOf(open.out_trade_no), {}, 'refund')]],
    [
      'sealed with another key',
      'undecryptable',
      () => [message(resource(), { resource_key: 'x'.repeat(32) }, 'refund')],
    ],
  ];
  test.each(corpus)('%s: %s', async (_what, verdict, made) => {
    const [body, headers] = made();
    const before = await asked();
    expect((await refused(body, headers, 'refund')).verdict).toBe(verdict);
    expect(await asked()).toBe(before);
  });

  test('a genuine one is asked about: this corpus tests its faults, not its frame', async () => {
    const body = make();
    const before = await asked();
    await post(body, signed(body), 'refund');
    expect(await asked()).toBe(before + 1);
    expect(await counter.ctx.db.refund.count()).toBe(0);
  });
});

test('after all of this the trade of this file is as open as it was, and a real payment still goes through', async () => {
  await counter.control('pay', { out_trade_no: open.out_trade_no });
  await expect
    .poll(async () => (await shopper.status(open.order_no)).state, { timeout: 3_000, interval: 50 })
    .toBe('SUCCESS');
});
