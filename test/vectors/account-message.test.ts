/** What goes over the line for a message to a user, and the errcodes in plain words with where they are mended. */
import { describe, expect, it } from 'vitest';
import {
  errcodeWords,
  isTokenRejected,
  knownErrcodes,
  OfficialAccountError,
  sendAccountMessage,
} from '../../lib/wechat/index.ts';

interface Heard {
  path: string;
  body: Record<string, unknown>;
}

async function send(kind: 'template' | 'subscribe', answer: string, data: Record<string, string>) {
  const heard: Heard[] = [];
  const ports = {
    fetch: (url: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> => {
      heard.push({ path: new URL(String(url)).pathname, body: JSON.parse(String(init?.body)) });
      return Promise.resolve(new Response(answer));
    },
    now: () => new Date(0),
    nonce: () => '',
  };
  const message = {
    kind,
    openid: 'oA',
    template_id: 't',
    url: 'https://shop.example.com/pay/1',
    data,
    client_msg_id: 'order-1',
  };
  const account = { api_base_url: 'https://api.weixin.qq.com', access_token: 'x' };
  return { sent: await sendAccountMessage(account, message, ports), heard: heard[0] };
}

describe('a message to a user', () => {
  it('a template message: its msgid to the last digit', async () => {
    const { sent, heard } = await send(
      'template',
      '{"errcode":0,"errmsg":"ok","msgid":3012345678901234567}',
      {
        thing1: '龙井',
      },
    );
    expect(sent).toEqual({ msgid: '3012345678901234567' });
    expect(heard).toEqual({
      path: '/cgi-bin/message/template/send',
      body: {
        touser: 'oA',
        template_id: 't',
        url: 'https://shop.example.com/pay/1',
        client_msg_id: 'order-1',
        data: { thing1: { value: '龙井' } },
      },
    });
  });

  it('a subscription notice has a page and no msgid', async () => {
    const { sent, heard } = await send('subscribe', '{"errcode":0,"errmsg":"ok"}', { thing1: 'x' });
    expect(sent).toEqual({ msgid: undefined });
    expect(heard).toMatchObject({
      path: '/cgi-bin/message/subscribe/bizsend',
      body: { page: 'https://shop.example.com/pay/1' },
    });
    expect(heard?.body).not.toHaveProperty('client_msg_id');
  });

  it('values are cut to what their field holds, between characters', async () => {
    const { heard } = await send('template', '{"errcode":0}', {
      thing1: '🍬'.repeat(21),
      phrase2: '已经支付成功',
      amount3: `¥${'1'.repeat(40)}`,
      const: 'x'.repeat(40),
    });
    expect(heard?.body.data).toEqual({
      thing1: { value: `${'🍬'.repeat(19)}…` },
      phrase2: { value: '已经支付…' },
      amount3: { value: `¥${'1'.repeat(40)}` },
      const: { value: 'x'.repeat(40) },
    });
  });

  it.each(['{}', '[]', 'null', '<html>', ''])('%j is no answer, so nobody knows', async (answer) => {
    await expect(send('template', answer, { thing1: 'x' })).rejects.toMatchObject({
      outcome: 'unknown',
      errcode: undefined,
    });
  });
});

describe('errcodes in plain words', () => {
  it.each([-1, 40001, 40003, 40029, 40037, 40125, 40163, 40164, 42001, 43004, 43101, 45009, 47003, 48001])(
    '%i is one of them',
    (errcode) => {
      expect(knownErrcodes).toContain(errcode);
    },
  );

  it.each(knownErrcodes)('%i says what it is, and which page mends it or what happens instead', (errcode) => {
    const { zh, en, console_page, instead } = errcodeWords(errcode, String(errcode), '');
    expect(zh).toMatch(/\p{Script=Han}/u);
    expect(zh + en).not.toContain(String(errcode));
    expect([console_page, instead].filter((way) => way !== undefined)).toHaveLength(1);
    if (console_page !== undefined) expect(console_page).toMatch(/^公众平台 → /);
    else expect(instead?.zh).toMatch(/\p{Script=Han}/u);
  });

  it.each([
    [42001, '自动换新'],
    [40163, '重新进店'],
    [43004, '只影响这一位'],
    [45011, '自动重试'],
  ])('%i needs no setting, and says so', (errcode, word) => {
    expect(errcodeWords(errcode, String(errcode), '').instead?.zh).toContain(word);
  });

  it.each([40125, 40164, 45009, 48001, 40037])('%i is mended on a page of the console', (errcode) => {
    expect(errcodeWords(errcode, String(errcode), '').console_page).toMatch(/^公众平台 → /);
  });

  it.each([
    ['invalid ip 203.0.113.7, not in whitelist', '203.0.113.7'],
    ['invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 5f', '203.0.113.7'],
    ['invalid ip 2001:db8::7, not in whitelist', '2001:db8::7'],
  ])('40164 names the address that WeChat saw: %s', (errmsg, address) => {
    const { zh, en } = errcodeWords(40164, '40164', errmsg);
    expect([zh.includes(address), en.includes(address)]).toEqual([true, true]);
  });

  it('a code nobody knows stands as it is', () => {
    expect(errcodeWords(99999, '99999', '')).toEqual({
      zh: '微信返回错误 99999',
      en: 'WeChat answered error 99999',
      instead: { zh: expect.stringContaining('全局返回码'), en: expect.stringContaining('return codes') },
    });
  });

  it('only these mean that the token is to be replaced', () => {
    const rejected = [-1, 40001, 40013, 40014, 40125, 40164, 42001, 45009].filter((errcode) =>
      isTokenRejected(new OfficialAccountError(errcode, String(errcode), '')),
    );
    expect(rejected).toEqual([40001, 40014, 42001]);
  });
});
