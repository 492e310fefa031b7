/**
 * The official account's server door against the platform's own pushes: the check of the address, plain and encrypted
 * messages, forgeries, repetitions; and the signature that a page gets for the JS-SDK.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sweep } from '../../lib/jobs.ts';
import { parseXml } from '../../lib/wechat/index.ts';
import { type Counter, openCounter } from '../setup/counter.ts';
import { knock } from '../setup/host.ts';

interface Pushed {
  accepted: boolean;
  attempts: { status?: number; answer?: string }[];
}

let counter: Counter;
let account: { appid: string; token: string; encoding_aes_key: string };

beforeAll(async () => {
  counter = await openCounter();
  account = (await counter.control<{ official_account: typeof account }>('config')).official_account;
});
afterAll(() => counter.close());
beforeEach(async () => {
  await counter.restart({ WECHAT_SERVER_TOKEN: account.token });
  await counter.ctx.db.account_message.deleteMany();
  await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job WHERE name = 'account_message'`;
});

const push = (body: Record<string, unknown>) => counter.control<Pushed>('push', body);
const messages = () => counter.ctx.db.account_message.findMany({ orderBy: { received_at: 'asc' } });
const jobs = async () =>
  Number(
    (
      await counter.ctx.db.$queryRaw<{ n: bigint }[]>`
      SELECT count(*) AS n FROM pgboss.job WHERE name = 'account_message' AND state = 'created'`
    )[0]?.n,
  );
const sealed = () =>
  counter.restart({
    WECHAT_SERVER_TOKEN: account.token,
    WECHAT_SERVER_AES_KEY: account.encoding_aes_key,
  });

/** A request signed with any token, as WeChat would. */
function signed(
  token: string,
  init: RequestInit = {},
  more: Record<string, string> = {},
  age_s = 0,
): Request {
  const nonce = '1514711492';
  const timestamp = String(Math.floor(counter.ctx.now().getTime() / 1_000) - age_s);
  const signature = createHash('sha1').update([token, timestamp, nonce].sort().join('')).digest('hex');
  const query = new URLSearchParams({ signature, timestamp, nonce, ...more });
  return new Request(`${counter.host.origin}/api/wechat/server?${query}`, init);
}

describe('the check of the address', () => {
  test('WeChat’s own gets its echostr back', async () => {
    const { accepted, attempts } = await push({ verify: true });
    expect([accepted, attempts[0]?.status]).toEqual([true, 200]);
  });

  test('the published vector: Token AAAAA (WeChat, 消息推送开发手册)', async () => {
    await counter.restart({ WECHAT_SERVER_TOKEN: 'AAAAA' });
    // The vector's own moment, in April 2024.
    const back_s = Math.round(counter.ctx.now().getTime() / 1_000) - 1_714_036_504;
    counter.advance(-back_s);
    const query =
      'signature=f464b24fc39322e44b38aa78f5edd27bd1441696&timestamp=1714036504&nonce=1514711492&echostr=4375120948345356249';
    const answer = await knock(new Request(`${counter.host.origin}/api/wechat/server?${query}`));
    counter.advance(back_s);
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      200,
      'text/plain; charset=utf-8',
      '4375120948345356249',
    ]);
  });

  const strange: [string, { token?: string; echostr?: string; signature?: string }][] = [
    ['another token', { token: 'mine0123' }],
    ['no echostr', { echostr: '' }],
    ['no signature', { signature: '' }],
    ['a longer signature', { signature: '0'.repeat(400) }],
  ];
  test.each(strange)('%s: 403 and nothing else', async (_what, { token, ...change }) => {
    const request = signed(token ?? account.token, {}, { echostr: '<b>1</b>', ...change });
    const answer = await knock(request);
    expect([answer.status, await answer.text()]).toEqual([403, '']);
  });

  test.each([
    [590, 200],
    [-590, 200],
    [610, 403],
    [-610, 403],
  ])('signed %i s ago: %i', async (age_s, status) => {
    const asked = await knock(signed(account.token, {}, { echostr: '1' }, age_s));
    expect(asked.status).toBe(status);
    const xml = `<xml><FromUserName>oA</FromUserName><MsgType>text</MsgType><MsgId>${age_s}</MsgId></xml>`;
    const pushed = await knock(signed(account.token, { method: 'POST', body: xml }, {}, age_s));
    expect(pushed.status).toBe(status);
    expect(await messages()).toHaveLength(status === 200 ? 1 : 0);
  });

  test.each(['', 'x', '-1', '1e9', '0x10', '9'.repeat(30)])(
    'a time that is none (%j): 403',
    async (timestamp) => {
      const nonce = 'n';
      const signature = createHash('sha1')
        .update([account.token, timestamp, nonce].sort().join(''))
        .digest('hex');
      const query = new URLSearchParams({ signature, timestamp, nonce, echostr: '1' });
      const answer = await knock(new Request(`${counter.host.origin}/api/wechat/server?${query}`));
      expect([answer.status, await answer.text()]).toEqual([403, '']);
    },
  );

  test('there is no such address without a token of ours', async () => {
    await counter.restart({});
    expect((await knock(signed(account.token, {}, { echostr: '1' }))).status).toBe(404);
    expect((await knock(signed(account.token, { method: 'POST', body: '<xml/>' }))).status).toBe(404);
  });
});

describe('plain messages', () => {
  test('one is kept with its job and answered success', async () => {
    const { accepted, attempts } = await push({ mode: 'plain', fields: { Content: '在吗' } });
    expect(accepted).toBe(true);
    expect(attempts).toMatchObject([{ status: 200, answer: 'success' }]);
    const [message, ...others] = await messages();
    expect(others).toEqual([]);
    expect(message).toMatchObject({ sealed: 'plain', msg_type: 'text', worked_at: null });
    expect(parseXml(Buffer.from(message?.body ?? []))).toMatchObject({ Content: '在吗' });
    expect(await jobs()).toBe(1);
    expect(await counter.work('account_message')).toBe(1);
    expect((await messages())[0]?.worked_at).not.toBeNull();
  });

  test('sent again, and at once from five sides: one row, one job, always success', async () => {
    const xml =
      '<xml><ToUserName>gh_1</ToUserName><FromUserName>oA</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType><Content>x</Content><MsgId>77</MsgId></xml>';
    const answers = await Promise.all(Array.from({ length: 5 }, () => push({ mode: 'plain', xml })));
    expect(answers.every(({ accepted }) => accepted)).toBe(true);
    await counter.work('account_message');
    await push({ mode: 'plain', xml });
    expect(await messages()).toHaveLength(1);
    expect(await jobs()).toBe(0);
  });

  test('events are told apart by sender, time and kind', async () => {
    const event = (from: string, time: string, name: string) =>
      push({
        mode: 'plain',
        xml: `<xml><FromUserName>${from}</FromUserName><CreateTime>${time}</CreateTime><MsgType>event</MsgType><Event>${name}</Event></xml>`,
      });
    for (const [from, time, name] of [
      ['oA', '1', 'subscribe'],
      ['oA', '1', 'subscribe'],
      ['oA', '1', 'VIEW'],
      ['oA', '2', 'subscribe'],
      ['oB', '1', 'subscribe'],
    ] as const) {
      await event(from, time, name);
    }
    expect(await messages()).toHaveLength(4);
  });

  test('an event that nests is kept as it came, and once', async () => {
    const xml =
      '<xml><FromUserName>oA</FromUserName><MsgType>event</MsgType><Event>subscribe_msg_sent_event</Event><SubscribeMsgSentEvent><List><TemplateId>t</TemplateId></List></SubscribeMsgSentEvent></xml>';
    expect((await push({ mode: 'plain', xml })).accepted).toBe(true);
    expect((await push({ mode: 'plain', xml })).accepted).toBe(true);
    const kept = await messages();
    expect(kept.map(({ msg_type, body }) => [msg_type, Buffer.from(body).toString()])).toEqual([['', xml]]);
    await counter.work('account_message');
  });

  test.each(['signature', 'no_signature'])('forged (%s): 403, nothing kept', async (tamper) => {
    const { attempts } = await push({ mode: 'plain', tamper });
    expect(attempts.map(({ status, answer }) => [status, answer])).toEqual(Array(3).fill([403, '']));
    expect(await messages()).toEqual([]);
  });

  test('a body that never ends is answered before WeChat gives up, and nothing is kept', async () => {
    const begun = performance.now();
    const body = new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from('<xml>')) });
    const init = { method: 'POST', body, ...{ duplex: 'half' } };
    expect((await knock(signed(account.token, init))).status).toBe(500);
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(await messages()).toEqual([]);
  });

  test('a lost job is found again', async () => {
    await push({ mode: 'plain' });
    await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job WHERE name = 'account_message'`;
    counter.advance(6 * 60);
    await sweep(counter.ctx);
    expect(await counter.work('account_message')).toBe(1);
    counter.advance(-6 * 60);
    expect((await messages())[0]?.worked_at).not.toBeNull();
  });

  test('larger than 64 KiB: not read to the end', async () => {
    const body = `<xml><Content>${'x'.repeat(70_000)}</Content></xml>`;
    const answer = await knock(signed(account.token, { method: 'POST', body }));
    expect(answer.status).toBe(413);
    expect(await messages()).toEqual([]);
  });
});

describe('encrypted messages', () => {
  test.each(['safe', 'compatible'])('%s mode: opened, kept, answered success', async (mode) => {
    await sealed();
    const { accepted, attempts } = await push({ mode, fields: { MsgType: 'event', Event: 'subscribe' } });
    expect([accepted, attempts.length]).toEqual([true, 1]);
    expect(await messages()).toMatchObject([{ sealed: 'aes', event: 'subscribe' }]);
  });

  test.each(['signature', 'body', 'appid'])('forged (%s): 403, nothing kept', async (tamper) => {
    await sealed();
    const { attempts } = await push({ mode: 'safe', tamper });
    expect(attempts.map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(await messages()).toEqual([]);
  });

  test('once there is a key, a plain one is not believed: its signature says nothing of its body', async () => {
    await sealed();
    expect((await push({ mode: 'plain' })).attempts[0]?.status).toBe(403);
    expect(await messages()).toEqual([]);
  });

  test('without a key an encrypted one cannot be opened', async () => {
    expect((await push({ mode: 'safe' })).attempts[0]?.status).toBe(403);
  });

  test('what is no XML, an entity or no Encrypt in it keeps nothing', async () => {
    await sealed();
    for (const body of [
      '',
      'Encrypt',
      '<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>',
      '<xml><A>1</A></xml>',
    ]) {
      const more = { encrypt_type: 'aes', msg_signature: '0'.repeat(40) };
      const answer = await knock(signed(account.token, { method: 'POST', body }, more));
      expect([400, 403]).toContain(answer.status);
      expect(await answer.text()).toBe('');
    }
    expect(await messages()).toEqual([]);
  });
});

describe('GET /api/wechat/jssdk', () => {
  const ask = (url: string | undefined, lang = 'en') =>
    knock(
      new Request(
        `${counter.host.origin}/api/wechat/jssdk${url === undefined ? '' : `?url=${encodeURIComponent(url)}`}`,
        { headers: { 'accept-language': lang } },
      ),
    );

  test('the signature is the platform’s own for that page, the part after # does not count', async () => {
    const url = `${counter.host.origin}/pay/20261123120000AAAAAAAAAAAAAAAA?lang=zh`;
    const answer = await ask(`${url}#top`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('private, no-store');
    const config = (await answer.json()) as Record<string, string>;
    expect(config).toMatchObject({
      appId: account.appid,
      jsApiList: ['chooseWXPay'],
      script_url: 'https://res.wx.qq.com/open/js/jweixin-1.6.0.js',
    });
    // The other witness: the bridge's own check, with its own ticket.
    const told = await counter.control<{ err_msg: string }>('bridge/invoke', {
      method: 'preVerifyJSAPI',
      params: {
        verifyAppId: config.appId,
        verifyTimestamp: config.timestamp,
        verifyNonceStr: config.nonceStr,
        verifySignature: config.signature,
      },
      page_url: `${url}#elsewhere`,
    });
    expect(told.err_msg).toBe('preVerifyJSAPI:ok');
  });

  test.each([
    undefined,
    '',
    '/pay/1',
    'https://evil.example/',
    'javascript:alert(1)',
    'ORIGIN.evil.example/pay/',
    'ORIGIN@evil.example/',
    'ORIGIN:80/',
    'ORIGIN/pay/\u0000',
    'ORIGIN/pay/ x',
    'ORIGIN/支付',
    `ORIGIN/${'x'.repeat(3_000)}`,
  ])('%j is no page of this shop: 400', async (url) => {
    const answer = await ask(url?.replace('ORIGIN', counter.host.origin));
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toContain('signature');
  });

  test('WeChat’s refusal is a 502 without its words, and stands on the operator’s list', async () => {
    await counter.ctx.db.credential.deleteMany();
    await counter.control('account', { ip_whitelist: ['203.0.113.9'] }, 'PUT');
    const answer = await ask(`${counter.host.origin}/`);
    expect(answer.status).toBe(502);
    expect(await answer.text()).not.toContain('40164');
    expect(await counter.ctx.db.account_fault.findMany({ where: { ended_at: null } })).toContainEqual(
      expect.objectContaining({ call: 'access_token', errcode: 40164 }),
    );
    await counter.control('account', { ip_whitelist: [] }, 'PUT');
  });
});
