// H5: the gate in front of WeChat judges where the browser came from, hands over, and the payer comes back.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openWorldV3, type WorldV3 } from './merchant_v3.ts';
import type { Fields } from './world.ts';

const SHOP = 'http://shop.example:8080';
let w: WorldV3;
beforeAll(async () => {
  w = await openWorldV3({ shop_origin: SHOP });
});
afterAll(() => w.close());
afterEach(async () => {
  await w.control('POST', 'reset');
});

const SCENE = JSON.stringify({ h5_info: { type: 'Wap', wap_url: SHOP, wap_name: '柜台' } });
const h5 = (own: Fields = {}) => w.place({ trade_type: 'MWEB', scene_info: SCENE, openid: '', ...own });
const BROWSER = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1';

async function open(address: string, headers: Record<string, string> = {}) {
  const response = await fetch(address, {
    headers: { 'User-Agent': BROWSER, Referer: `${SHOP}/pay/1`, ...headers },
    redirect: 'manual',
  });
  const text = await response.text();
  const part = (id: string) => new RegExp(`data-testid="${id}"[^>]*>([^<]*)`).exec(text)?.[1] ?? '';
  const link = (id: string) =>
    (new RegExp(`data-testid="${id}" href="([^"]*)"`).exec(text)?.[1] ?? '').replaceAll('&#38;', '&');
  return { text, part, link, problem: part('h5-problem'), number: part('h5-error') };
}

function fault(name: string, what: string, run: () => Promise<void>): void {
  it(`${name}: ${what}`, run);
}

describe('the gate', () => {
  it('shows amount and merchant to a browser from the H5 domain, and leads to the phone', async () => {
    const { mweb_url = '' } = await h5();
    const page = await open(mweb_url);
    expect(page.part('h5-amount')).toBe('¥12.88');
    expect(page.link('h5-open-wechat')).toContain('/_sim/cashier?prepay_id=wx');
    expect(page.link('h5-return')).toBe(`${SHOP}/pay/1`);
  });

  const refused: [string, Record<string, string>, string, string, string][] = [
    ['no Referer', { Referer: '' }, '', '商家参数格式有误，请联系商家解决', '268443815'],
    [
      'a foreign Referer',
      { Referer: 'https://evil.example/' },
      '',
      '商家存在未配置的参数，请联系商家解决',
      '268443816',
    ],
    [
      'another port of the shop',
      { Referer: 'http://shop.example/' },
      '',
      '商家存在未配置的参数，请联系商家解决',
      '268443816',
    ],
    [
      'a foreign redirect_url',
      {},
      `&redirect_url=${encodeURIComponent('https://evil.example/')}`,
      '商家存在未配置的参数，请联系商家解决',
      '268443816',
    ],
    [
      "WeChat's own browser",
      { 'User-Agent': 'MicroMessenger/8.0.56' },
      '',
      '请在微信外打开订单，进行支付',
      '',
    ],
  ];
  it.each(refused)('turns away %s in WeChat’s words', async (_what, headers, more, said, number) => {
    const { mweb_url = '', out_trade_no } = await h5();
    const page = await open(mweb_url + more, headers);
    expect([page.problem, page.number]).toEqual([said, number]);
    expect((await w.lastLog()).why).not.toBe('');
    expect((await w.query(out_trade_no)).fields.trade_state).toBe('NOTPAY');
  });

  it('turns away an address that was never given out, or is older than five minutes', async () => {
    const { mweb_url = '' } = await h5();
    expect((await open(mweb_url.replace(/package=\d+/, 'package=1'))).number).toBe('268443815');
    await w.advance(299);
    expect((await open(mweb_url)).problem).toBe('');
    await w.advance(2);
    const late = await open(mweb_url);
    expect([late.problem, late.number]).toEqual(['支付请求已失效，请重新发起支付', '268498468']);
    expect((await w.pay({ h5_url: mweb_url })).body.message).toBe('支付请求已失效，请重新发起支付');
  });

  it('compares the browser’s address with the order’s only when it is asked to', async () => {
    const { mweb_url = '' } = await h5({ spbill_create_ip: '127.0.0.1' });
    const other = await h5();
    await w.control('PUT', 'merchant', { h5_check_ip: true });
    expect((await open(mweb_url)).problem).toBe('');
    expect((await open(other.mweb_url ?? '')).number).toBe('268498465');
    expect((await open(other.mweb_url ?? '', { 'X-Forwarded-For': '14.23.150.211' })).problem).toBe('');
  });

  fault('h5_other_ip', 'the network is said to have changed', async () => {
    const { mweb_url = '' } = await h5();
    await w.faults({ h5_other_ip: { times: 1 } });
    expect((await open(mweb_url)).problem).toBe('网络环境未能通过安全验证，请稍后再试');
    expect((await open(mweb_url)).problem).toBe('');
  });

  it('takes the domains of the merchant’s console in place of the shop’s', async () => {
    const { mweb_url = '' } = await h5();
    await w.control('PUT', 'merchant', { h5_domains: ['m.shop.example'] });
    expect((await open(mweb_url)).number).toBe('268443816');
    expect((await open(mweb_url, { Referer: 'https://m.shop.example/x' })).problem).toBe('');
  });

  it('says so when the order is paid', async () => {
    const { mweb_url = '', out_trade_no } = await h5();
    await w.pay({ out_trade_no });
    expect((await open(mweb_url)).problem).toBe('该订单已支付');
  });
});

describe('the phone behind the gate', () => {
  async function press(address: string, action: string, own: Fields = {}) {
    const body = new URLSearchParams({
      ...Object.fromEntries(new URL(address).searchParams),
      action,
      ...own,
    });
    return fetch(`${w.url}/_sim/cashier`, { method: 'POST', body, redirect: 'manual' });
  }

  it('pays and goes back to redirect_url', async () => {
    const { mweb_url = '', out_trade_no } = await h5();
    const back = `${SHOP}/pay/9?from=h5&x=1`;
    const page = await open(`${mweb_url}&redirect_url=${encodeURIComponent(back)}`);
    const cashier = w.url + page.link('h5-open-wechat');
    expect((await open(cashier)).part('cashier-amount')).toBe('¥12.88');
    const pressed = await press(cashier, 'pay', { openid: w.other.openid });
    expect([pressed.status, pressed.headers.get('location')]).toEqual([303, back]);
    expect((await w.query(out_trade_no)).fields).toMatchObject({
      trade_state: 'SUCCESS',
      trade_type: 'MWEB',
      openid: w.other.openid,
    });
  });

  it('goes back unpaid when the payer leaves, and shows what is refused', async () => {
    const { mweb_url = '', out_trade_no } = await h5();
    const cashier = w.url + (await open(mweb_url)).link('h5-open-wechat');
    expect((await press(cashier, 'cancel')).headers.get('location')).toBe(`${SHOP}/pay/1`);
    expect((await w.query(out_trade_no)).fields.trade_state).toBe('NOTPAY');
    const poor = await press(cashier, 'pay', { openid: w.poor.openid });
    expect(await poor.text()).toContain('余额不足');
  });

  it('never goes back to an address that is no web page', async () => {
    const { mweb_url = '' } = await h5();
    const cashier = w.url + (await open(mweb_url)).link('h5-open-wechat');
    const pressed = await press(cashier, 'cancel', { back: 'javascript:alert(1)' });
    expect(pressed.headers.get('location')).toBeNull();
  });
});

it('API v3 gives the same kind of address, and POST /_sim/pay takes it', async () => {
  const { payer: _nobody, ...rest } = w.order3();
  const body = {
    ...rest,
    scene_info: { payer_client_ip: '127.0.0.1', h5_info: { type: 'Wap' } },
  };
  const placed = await w.call3('POST', '/v3/pay/transactions/h5', body);
  const h5_url = String(placed.body.h5_url);
  expect((await open(h5_url)).part('h5-amount')).toBe('¥12.88');
  const paid = await w.pay({ h5_url: `${h5_url}&redirect_url=${encodeURIComponent(SHOP)}` });
  expect(paid.body).toMatchObject({ trade_state: 'SUCCESS', out_trade_no: body.out_trade_no });
});
