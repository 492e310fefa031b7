/**
 * What somebody else, or somebody with our key, may post to the notify door. A message is taken only when it is
 * signed as our trade is and says exactly what our row says; everything else changes no row, is answered FAIL in
 * WeChat's XML and stands in the archive as it came.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';
import { knock } from '../setup/host.ts';
import { type Pairs, type SignType, signedXml, signOf, xmlOf } from '../setup/v2_message.ts';

let counter: Counter;
let shopper: Shopper;
let key = '';
/** An order of 12800 fen with its open trade, which no test of this file may move. */
let order_no = '';
let out_trade_no = '';

beforeAll(async () => {
  counter = await openCounter();
  shopper = counter.shopper();
  await shopper.signIn();
  ({ order_no } = await shopper.order('longjing'));
  ({ out_trade_no } = await shopper.pay(order_no));
  key = counter.simulator_config.merchants[0]?.api_v2_key ?? '';
});
afterAll(() => counter.close());
// Each of these forgeries is meant to leave its row, however many come in a minute.
beforeEach(() => counter.ctx.db.tally.deleteMany());

const post = (body: BodyInit | null, headers: Record<string, string> = {}): Promise<Response> =>
  knock(
    new Request(`${counter.host.origin}/api/notify/v2/payment`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/xml', ...headers },
    }),
  );

/** What WeChat would say of our trade. */
function genuine(of = out_trade_no, total_fee = '12800'): [string, string][] {
  const { WECHAT_APPID: appid, WECHAT_MCH_ID: mch_id } = counter.ctx.config;
  return [
    ['appid', appid],
    ['bank_type', 'OTHERS'],
    ['cash_fee', total_fee],
    ['fee_type', 'CNY'],
    ['is_subscribe', 'Y'],
    ['mch_id', mch_id],
    ['nonce_str', '5e8a0c1b2d3e4f5061728394a5b6c7d8'],
    ['openid', shopper.openid],
    ['out_trade_no', of],
    ['result_code', 'SUCCESS'],
    ['return_code', 'SUCCESS'],
    ['time_end', '20261123183007'],
    ['total_fee', total_fee],
    ['trade_type', 'JSAPI'],
    ['transaction_id', `4200${of.replace(/\D/g, '').slice(0, 24)}`],
  ];
}
const without = (pairs: Pairs, name: string): Pairs => pairs.filter(([field]) => field !== name);
const put = (pairs: Pairs, name: string, value: string): Pairs => [...without(pairs, name), [name, value]];

/** Every row a notification might move, without the archive. */
async function rows(): Promise<string> {
  const { db } = counter.ctx;
  const [orders, trades, events, jobs] = await Promise.all([
    db.order.findMany({ orderBy: { order_no: 'asc' } }),
    db.trade.findMany({ orderBy: { out_trade_no: 'asc' } }),
    db.event.count(),
    db.$queryRaw<{ count: number }[]>`SELECT count(*)::int AS count FROM pgboss.job`,
  ]);
  return JSON.stringify([orders, trades, events, jobs]);
}

const refusal =
  /^<xml>\n {2}<return_code><!\[CDATA\[FAIL\]\]><\/return_code>\n {2}<return_msg><!\[CDATA\[[\p{L}\p{N} _-]+\]\]><\/return_msg>\n<\/xml>$/u;

/** Posts it, expects it refused and archived as it came, and returns what the archive says of it. */
async function refused(body: BodyInit | null, headers?: Record<string, string>) {
  const { db } = counter.ctx;
  const before = await rows();
  const archived = await db.notification.count();
  const answer = await post(body, headers);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('text/xml; charset=utf-8');
  expect(await answer.text()).toMatch(refusal);
  expect(await rows()).toBe(before);
  expect(await db.notification.count()).toBe(archived + 1);
  const [row] = await db.notification.findMany({ orderBy: { received_at: 'desc' }, take: 1 });
  if (row === undefined) throw new Error('nothing was archived');
  return row;
}

async function isTaken(body: string): Promise<void> {
  const answer = await post(body);
  expect(await answer.text()).toMatch(/<return_code><!\[CDATA\[SUCCESS\]\]><\/return_code>/);
}

/** A fresh order of one fen with its trade, for a message that is to be taken. */
async function freshTrade(): Promise<{ order_no: string; out_trade_no: string }> {
  const { order_no } = await shopper.order();
  return { order_no, out_trade_no: (await shopper.pay(order_no)).out_trade_no };
}

describe('not signed by us and WeChat', () => {
  const verdicts: [string, string, () => BodyInit | null][] = [
    ['unsigned', 'bad_signature', () => xmlOf(genuine())],
    ['an empty sign', 'bad_signature', () => xmlOf([...genuine(), ['sign', '']])],
    ['a sign of blanks', 'bad_signature', () => xmlOf([...genuine(), ['sign', ' '.repeat(64)]])],
    ['signed with another key', 'bad_signature', () => signedXml(genuine(), 'x'.repeat(32), 'HMAC-SHA256')],
    ['signed with no key', 'bad_signature', () => signedXml(genuine(), '', 'HMAC-SHA256')],
    ['signed with the other algorithm', 'mismatch', () => signedXml(genuine(), key, 'MD5')],
    [
      'signed with the other algorithm, which it names',
      'mismatch',
      () => signedXml([...genuine(), ['sign_type', 'MD5']], key, 'MD5'),
    ],
    [
      'a right sign in lower case',
      'bad_signature',
      () => xmlOf([...genuine(), ['sign', signOf(genuine(), key, 'HMAC-SHA256').toLowerCase()]]),
    ],
    [
      'half of a right sign',
      'bad_signature',
      () => xmlOf([...genuine(), ['sign', signOf(genuine(), key, 'HMAC-SHA256').slice(0, 32)]]),
    ],
    ['a sign of 100000 letters', 'malformed', () => xmlOf([...genuine(), ['sign', 'A'.repeat(60_000)]])],
    [
      'a field changed after signing',
      'bad_signature',
      () => signedXml(genuine(), key, 'HMAC-SHA256').replace('12800', '12801'),
    ],
    [
      'a field added after signing',
      'bad_signature',
      () => signedXml(genuine(), key, 'HMAC-SHA256').replace('<xml>', '<xml><attach>1</attach>'),
    ],
  ];
  test.each(verdicts)('%s: %s', async (_what, verdict, body) => {
    expect((await refused(body())).verdict).toBe(verdict);
  });

  test.each(Array.from({ length: 14 }, (_, n) => n * 5))('a sign of %i letters is no 500', async (length) => {
    await refused(xmlOf([...genuine(), ['sign', 'A'.repeat(length)]]));
  });
});

describe('not WeChat’s XML, though signed as far as that goes', () => {
  const signed = (): string => signedXml(genuine(), key, 'HMAC-SHA256');
  const bytes = (...parts: (string | number[])[]): Buffer<ArrayBuffer> =>
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));
  const corpus: [string, () => BodyInit | null][] = [
    ['nothing at all', () => null],
    ['an empty body', () => ''],
    ['blanks', () => ' \r\n\t '],
    ['a text', () => 'SUCCESS'],
    ['JSON', () => JSON.stringify(Object.fromEntries(genuine()))],
    ['a v3 message', () => '{"id":"1","event_type":"TRANSACTION.SUCCESS","resource":{}}'],
    ['a form', () => 'return_code=SUCCESS&result_code=SUCCESS'],
    ['an HTML error page', () => '<html><head><title>502 Bad Gateway</title></head><body></body></html>'],
    ['another root', () => signed().replaceAll('xml>', 'root>')],
    ['two roots', () => signed() + signed()],
    ['text after the root', () => `${signed()}tail`],
    ['an end missing', () => signed().slice(0, -6)],
    ['half of it', () => signed().slice(0, 400)],
    ['an empty root', () => '<xml></xml>'],
    ['an attribute', () => signed().replace('<total_fee>', '<total_fee a="1">')],
    ['a comment inside an amount', () => signed().replace('12800', '128]]><!-- x --><![CDATA[00')],
    ['a processing instruction', () => signed().replace('<xml>', '<xml><?php echo 1 ?>')],
    ['a field twice', () => signed().replace('<xml>', '<xml><total_fee>12800</total_fee>')],
    ['a field inside a field', () => signed().replace('<![CDATA[12800]]>', '<fee>12800</fee>')],
    ['deep nesting', () => `<xml>${'<a>'.repeat(5_000)}${'</a>'.repeat(5_000)}</xml>`],
    ['ten thousand fields', () => `<xml>${'<a>1</a>'.repeat(8_000)}</xml>`],
    ['six thousand attributes', () => `<xml ${'a="1" '.repeat(6_000)}></xml>`],
    ['__proto__', () => signedXml([...genuine(), ['__proto__', 'x']], key, 'HMAC-SHA256')],
    ['NUL in a value', () => signed().replace('OTHERS', 'OTH\u0000ERS')],
    ['NUL between fields', () => signed().replace('<mch_id>', '\u0000<mch_id>')],
    ['a bell', () => signed().replace('OTHERS', 'OTH\u0007ERS')],
    ['a byte that is no UTF-8', () => bytes('<xml><a>', [0xff], '</a></xml>')],
    ['an overlong slash', () => bytes('<xml><a>', [0xc0, 0xaf], '</a></xml>')],
    ['half a surrogate pair', () => bytes('<xml><a>', [0xed, 0xa0, 0x80], '</a></xml>')],
    ['UTF-16', () => Buffer.from(`\ufeff${signed()}`, 'utf16le')],
    ['gzip', () => bytes([0x1f, 0x8b, 8, 0, 0, 0, 0, 0])],
    ['64 KiB and one byte', () => `<xml><a>${'1'.repeat(64 * 1_024 - 8)}</a></xml>`],
    ['a megabyte of blanks', () => ' '.repeat(1_048_576)],
    [
      'a billion laughs',
      () => `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "${'&a;'.repeat(50)}">]><xml><a>&b;</a></xml>`,
    ],
    ['&lt; redefined', () => `<!DOCTYPE x [<!ENTITY lt "INJ">]>${signed()}`],
    ['an entity nobody defined', () => signed().replace('<![CDATA[OTHERS]]>', '&leak;')],
  ];
  test.each(corpus)('%s', async (_what, body) => {
    expect((await refused(body())).verdict).toMatch(/^(malformed|bad_signature)$/);
  });

  test('what was refused stands in the archive byte by byte', async () => {
    const body = bytes('<xml><a>', [0xff, 0x00], '</a></xml>');
    expect(Buffer.from((await refused(body)).body)).toEqual(body);
  });

  test('a DOCTYPE or an entity that names an address: nobody goes there', async () => {
    let visits = 0;
    const canary = createServer((_request, response) => {
      visits += 1;
      response.end('leaked');
    });
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(canary.address() as AddressInfo).port}/leak.dtd`;
    try {
      for (const doctype of [
        `<!DOCTYPE xml SYSTEM "${address}">`,
        `<!DOCTYPE xml PUBLIC "x" "${address}">`,
        `<!DOCTYPE xml [<!ENTITY leak SYSTEM "${address}">]>`,
        `<!DOCTYPE xml [<!ENTITY % leak SYSTEM "${address}"> %leak;]>`,
        '<!DOCTYPE xml [<!ENTITY leak SYSTEM "file:///etc/passwd">]>',
      ]) {
        const body = doctype + signed().replace('<![CDATA[OTHERS]]>', '&leak;');
        expect((await refused(body)).verdict).toBe('malformed');
        expect((await refused(`<?xml version="1.0"?>${body}`)).verdict).toBe('malformed');
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(visits).toBe(0);
    } finally {
      await new Promise((resolve) => canary.close(resolve));
    }
  });
});

describe('correctly signed, and still not what it may be', () => {
  const amounts = [
    '12801',
    '1',
    '0',
    '-12800',
    '+12800',
    '12800.0',
    '128e2',
    '1.28E4',
    '0x3200',
    '１２８００',
    '12 800',
    'NaN',
    '4294980096',
    '2147483648',
    '9999999999',
    '12800000000000000000',
    'null',
    '12800&total_fee=1',
  ];
  test.each(amounts)('total_fee %s', async (amount) => {
    await refused(signedXml(put(genuine(), 'total_fee', amount), key, 'HMAC-SHA256'));
  });
  test.each(['12801', '2147483648', '9999999999', '-1', '1.0'])('cash_fee %s', async (amount) => {
    await refused(signedXml(put(genuine(), 'cash_fee', amount), key, 'HMAC-SHA256'));
  });
  test.each([
    '',
    '2026112318300',
    '20261323183007',
    '20261123253007',
    '2026-11-23 18:30:07',
    '00000000000000',
  ])('time_end %j', async (time) => {
    await refused(signedXml(put(genuine(), 'time_end', time), key, 'HMAC-SHA256'));
  });

  const needed = [
    'appid',
    'mch_id',
    'out_trade_no',
    'total_fee',
    'openid',
    'transaction_id',
    'trade_type',
    'time_end',
    'return_code',
    'result_code',
  ];
  test.each(needed)('without %s', async (name) => {
    await refused(signedXml(without(genuine(), name), key, 'HMAC-SHA256'));
  });

  test.each(['result_code', 'return_code'])('%s FAIL', async (name) => {
    const row = await refused(signedXml(put(genuine(), name, 'FAIL'), key, 'HMAC-SHA256'));
    expect(row.verdict).toBe('not_success');
  });

  test.each(['NOTPAY', 'CLOSED', 'REFUND', 'REVOKED', 'PAYERROR'])('trade_state %s', async (state) => {
    await refused(signedXml([...genuine(), ['trade_state', state]], key, 'HMAC-SHA256'));
  });

  test.each([
    'attach',
    'bank_type',
    'device_info',
    'nonce_str',
    'openid',
    'trade_type',
    'is_subscribe',
    'brand_new',
  ])('%s that reads as two fields: the signature fits both readings, neither is taken', async (name) => {
    const two = [...without(genuine(), name), [name, 'x'] as const, ['zz', '1'] as const];
    const sign = signOf(two, key, 'HMAC-SHA256');
    const following = [...two].map(([field]) => field).sort();
    const after = following[following.indexOf(name) + 1] ?? '';
    const value = two.find(([field]) => field === after)?.[1] ?? '';
    const one = [
      ...two.filter(([field]) => field !== name && field !== after),
      [name, `x&${after}=${value}`] as const,
    ];
    expect(signOf(one, key, 'HMAC-SHA256')).toBe(sign);
    expect((await refused(xmlOf([...one, ['sign', sign]]))).verdict).toBe('malformed');
  });

  test('a transaction_id that has paid another trade already', async () => {
    const other = await freshTrade();
    const paid = genuine(other.out_trade_no, '1');
    await isTaken(signedXml(paid, key, 'HMAC-SHA256'));
    const used = paid.find(([name]) => name === 'transaction_id')?.[1] ?? '';
    const row = await refused(signedXml(put(genuine(), 'transaction_id', used), key, 'HMAC-SHA256'));
    expect([row.verdict, row.detail]).toEqual(['mismatch', 'transaction_id']);
  });

  test('another transaction_id for a trade that is paid already', async () => {
    const mine = await freshTrade();
    const paid = genuine(mine.out_trade_no, '1');
    await isTaken(signedXml(paid, key, 'HMAC-SHA256'));
    const row = await refused(signedXml(put(paid, 'transaction_id', '4200999'), key, 'HMAC-SHA256'));
    expect([row.verdict, row.detail]).toEqual(['mismatch', 'transaction_id']);
  });

  test('a number in another spelling, blanks around it, a letter more', async () => {
    for (const number of [
      out_trade_no.toLowerCase(),
      ` ${out_trade_no}`,
      `${out_trade_no}0`,
      out_trade_no.slice(1),
      '%',
    ]) {
      await refused(signedXml(put(genuine(), 'out_trade_no', number), key, 'HMAC-SHA256'));
    }
  });

  test('numbers that a parser took for numbers: rounded, without their zeros, in hexadecimal', async () => {
    for (const number of ['1.004400740201409e+27', '+42', '4.2', '4,200']) {
      await refused(signedXml(put(genuine(), 'transaction_id', number), key, 'HMAC-SHA256'));
    }
    const rounded = `${Number(out_trade_no.replace(/\D/g, ''))}`;
    for (const number of [rounded, out_trade_no.replace(/^2/, '02')]) {
      await refused(signedXml(put(genuine(), 'out_trade_no', number), key, 'HMAC-SHA256'));
    }
  });

  test('nothing in the request switches a check off: not its address, its headers, its sender', async () => {
    const body = xmlOf(genuine());
    await refused(body, { 'x-forwarded-for': '127.0.0.1', host: 'localhost' });
    await refused(body, { 'content-type': 'application/json' });
    await refused(body, { 'wechatpay-signature-type': 'none', 'x-middleware-subrequest': 'app' });
  });
});

/*
 * Each field of a genuine message, wrong in each way, signed with our own key: what a stolen key, a mixed-up merchant
 * or a fault of WeChat's could send. `taken` lists the few that still say exactly what our row says.
 */
const fields = [
  'appid',
  'mch_id',
  'sub_appid',
  'sub_mch_id',
  'out_trade_no',
  'transaction_id',
  'openid',
  'trade_type',
  'total_fee',
  'cash_fee',
  'fee_type',
  'time_end',
  'return_code',
  'result_code',
  'trade_state',
  'sign_type',
] as const;
type Field = (typeof fields)[number];
const ways = ['changed', 'missing', 'doubled', 'empty', 'of another merchant'] as const;

const changed: Record<Field, string> = {
  appid: 'wx0000000000000000',
  mch_id: '1900000999',
  sub_appid: 'wx0000000000000000',
  sub_mch_id: '1900000999',
  out_trade_no: 'NOBODYPLACEDTHIS',
  transaction_id: 'not-a-number',
  openid: 'oSomebodyElse000000000000000',
  trade_type: 'NATIVE',
  total_fee: '12799',
  cash_fee: '12801',
  fee_type: 'USD',
  time_end: 'yesterday',
  return_code: 'FAIL',
  result_code: 'FAIL',
  trade_state: 'CLOSED',
  sign_type: 'RSA',
};
/** Whole and consistent, but somebody else's; fields that are the same everywhere have no such value. */
const foreign: Partial<Record<Field, string>> = {
  appid: 'wxfedcba9876543210',
  mch_id: '1900000110',
  sub_appid: 'wxfedcba9876543210',
  sub_mch_id: '1900000110',
  out_trade_no: '20261123183007ABCDEFGHJKMNPQRS',
  openid: 'oOfAnotherAccount00000000000',
  trade_type: 'MWEB',
  total_fee: '1',
  fee_type: 'HKD',
};
/** Absent means what our row says: no sub merchant, CNY, nothing on how it was paid, the type the trade was placed with. */
const mayBeAbsent: readonly Field[] = [
  'sub_appid',
  'sub_mch_id',
  'cash_fee',
  'fee_type',
  'trade_state',
  'sign_type',
];

describe.each<SignType>(['HMAC-SHA256', 'MD5'])('the tamper matrix, signed with %s', (sign_type) => {
  let trade = { order_no: '', out_trade_no: '' };
  beforeAll(async () => {
    trade = await freshTrade();
    await counter.ctx.db.trade.update({ where: { out_trade_no: trade.out_trade_no }, data: { sign_type } });
  });

  function tampered(field: Field, way: (typeof ways)[number], of = trade.out_trade_no): Pairs | undefined {
    const message = genuine(of, '1');
    switch (way) {
      case 'changed':
        return put(message, field, changed[field]);
      case 'missing':
        return without(message, field);
      case 'empty':
        return put(message, field, '');
      case 'doubled': {
        const value = message.find(([name]) => name === field)?.[1] ?? changed[field];
        return [...put(message, field, value), [field, value]];
      }
      case 'of another merchant': {
        const value = foreign[field];
        return value === undefined ? undefined : put(message, field, value === '1' ? '2' : value);
      }
    }
  }

  const cases = fields.flatMap((field) =>
    ways
      .filter((way) => way !== 'of another merchant' || foreign[field] !== undefined)
      .filter((way) => !((way === 'missing' || way === 'empty') && mayBeAbsent.includes(field)))
      .map((way) => [field, way] as const),
  );
  test.each(cases)('%s %s: refused', async (field, way) => {
    await refused(signedXml(tampered(field, way) ?? [], key, sign_type));
  });

  test.each(mayBeAbsent)(
    '%s missing or empty says what our row says: taken, and says it right',
    async (field) => {
      for (const way of ['missing', 'empty'] as const) {
        const mine = await freshTrade();
        const { db } = counter.ctx;
        await db.trade.update({ where: { out_trade_no: mine.out_trade_no }, data: { sign_type } });
        await isTaken(signedXml(tampered(field, way, mine.out_trade_no) ?? [], key, sign_type));
        const order = await db.order.findUniqueOrThrow({ where: { order_no: mine.order_no } });
        expect(order).toMatchObject({ state: 'SUCCESS', total_fen: 1, paid_trade_no: mine.out_trade_no });
      }
    },
  );

  test('and the untouched message is taken: the matrix above tests its fields, not its frame', async () => {
    await isTaken(signedXml(genuine(trade.out_trade_no, '1'), key, sign_type));
    const row = await counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no: trade.out_trade_no } });
    expect(row.trade_state).toBe('SUCCESS');
  });
});

describe('a genuine payment is not lost over a word nobody needs', () => {
  const oddities: [string, Pairs][] = [
    ['a bank_type of 64 letters', [['bank_type', 'B'.repeat(64)]]],
    ['a bank_type we have never seen', [['bank_type', 'MOON_DEBIT']]],
    ['no bank_type', [['bank_type', '']]],
    [
      'a coupon that paid a part',
      [
        ['cash_fee', '0'],
        ['coupon_fee', '1'],
        ['coupon_count', '1'],
        ['coupon_id_0', '10000'],
      ],
    ],
    ['a settlement_total_fee', [['settlement_total_fee', '1']]],
    ['a promotion_detail with & in it', [['promotion_detail', '{"promotion_detail":[{"name":"A&B=C"}]}']]],
    [
      'unknown fields',
      [
        ['brand_new', '新'],
        ['Other2', '1'],
      ],
    ],
    ['a transaction_id of 32 letters', [['transaction_id', `42${'0'.repeat(30)}`]]],
    ['a payment of the year 2099', [['time_end', '20991231235959']]],
  ];
  test.each(oddities)('%s', async (_what, changes) => {
    const mine = await freshTrade();
    let message: Pairs = genuine(mine.out_trade_no, '1');
    for (const [name, value] of changes) message = put(message, name, value);
    await isTaken(signedXml(message, key, 'HMAC-SHA256'));
    const order = await counter.ctx.db.order.findUniqueOrThrow({ where: { order_no: mine.order_no } });
    expect(order.state).toBe('SUCCESS');
  });
});

test('after all of this the trade of this file is as open as it was, and a real payment still goes through', async () => {
  await counter.control('pay', { out_trade_no });
  await expect
    .poll(async () => (await shopper.status(order_no)).state, { timeout: 3_000, interval: 50 })
    .toBe('SUCCESS');
});
