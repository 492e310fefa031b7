/**
 * H5 and the payer's own address, over both API versions: WeChat compares the one an order was placed for with the one
 * the browser comes from, so behind proxies it has to be the payer's and never what a caller says of itself.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Counter, openCounter } from '../setup/counter.ts';
import { callsOf } from '../setup/simulator_log.ts';
import { fieldsOf } from '../setup/v2_message.ts';

const cases = (['v2', 'v3'] as const).flatMap((api_version) =>
  ([0, 1, 2] as const).map((proxies) => ({ api_version, proxies })),
);

/** What reaches us as X-Forwarded-For, and the address that is the payer's, by how many proxies are ours. */
const heard: Record<0 | 1 | 2, [what: string, forwarded: string, payer: string][]> = {
  0: [
    ['nothing', '', '127.0.0.1'],
    ['a forged address', '203.0.113.9', '127.0.0.1'],
    ['a forged chain', '203.0.113.9, 198.51.100.2', '127.0.0.1'],
  ],
  1: [
    ['the payer’s address', '203.0.113.9', '203.0.113.9'],
    ['the payer’s IPv6 address', '2001:db8::9', '2001:db8::9'],
    ['a forged address before the proxy’s', '6.6.6.6, 203.0.113.9', '203.0.113.9'],
    ['a forged chain before the proxy’s', '6.6.6.6, 7.7.7.7,203.0.113.9', '203.0.113.9'],
    ['nothing, past the proxy', '', '127.0.0.1'],
  ],
  2: [
    ['the payer’s address and the outer proxy’s', '203.0.113.9, 198.51.100.2', '203.0.113.9'],
    ['a forged address before both', '6.6.6.6, 203.0.113.9, 198.51.100.2', '203.0.113.9'],
  ],
};

describe.each(cases)('over $api_version, behind $proxies proxies of ours', ({ api_version, proxies }) => {
  let counter: Counter;
  beforeAll(async () => {
    const environment = { WECHAT_PRODUCTS: 'JSAPI,MWEB', TRUSTED_PROXIES: String(proxies) };
    counter = await openCounter({ api_version, environment });
    await counter.control('merchant', { h5_check_ip: true }, 'PUT');
  });
  afterAll(() => counter.close());

  async function begin(order_no: string, forwarded: string) {
    const headers: Record<string, string> = forwarded === '' ? {} : { 'x-forwarded-for': forwarded };
    const answer = await counter
      .shopper()
      .post(`/api/orders/${order_no}/pay`, { trade_type: 'MWEB' }, headers);
    expect(answer.status).toBe(200);
    return (await answer.json()) as { out_trade_no: string; h5_url: string };
  }

  /** The address in the order that WeChat heard. */
  async function toldOf(out_trade_no: string): Promise<unknown> {
    const [placing] = await callsOf(counter, out_trade_no);
    const request = placing?.request ?? '';
    if (api_version === 'v2') return fieldsOf(request).spbill_create_ip;
    return (JSON.parse(request) as { scene_info?: { payer_client_ip?: string } }).scene_info?.payer_client_ip;
  }

  /** WeChat's page behind the address, from a browser at this one: what it refuses by, or nothing. */
  async function refusedFrom(ip: string, order_no: string, h5_url: string): Promise<string[]> {
    const referer = `${counter.host.origin}/pay/${order_no}`;
    const headers = { 'user-agent': 'Safari/604.1', referer, 'x-forwarded-for': ip };
    const page = await (await fetch(h5_url, { headers })).text();
    expect(page.includes('h5-open-wechat')).toBe(!page.includes('h5-problem'));
    return ['h5-problem', 'h5-error'].flatMap(
      (part) => new RegExp(`data-testid="${part}">([^<]*)`).exec(page)?.[1] ?? [],
    );
  }

  test.each(heard[proxies])('%s (%j): WeChat is told %s, who alone gets through', async (...row) => {
    const [, forwarded, payer] = row;
    const { order_no } = await counter.shopper().order();
    const { out_trade_no, h5_url } = await begin(order_no, forwarded);
    expect(await toldOf(out_trade_no)).toBe(payer);
    expect(await refusedFrom(payer, order_no, h5_url)).toEqual([]);
    for (const other of ['6.6.6.6', '198.51.100.2']) {
      expect(await refusedFrom(other, order_no, h5_url)).toEqual([
        '网络环境未能通过安全验证，请稍后再试',
        '268498465',
      ]);
    }
    const { trade_state } = await counter.ctx.db.trade.findUniqueOrThrow({ where: { out_trade_no } });
    expect(trade_state).toBe('NOTPAY');
  });

  if (proxies === 1) {
    test('who left the house meanwhile taps again, and gets through from the road', async () => {
      const { order_no } = await counter.shopper().order();
      const home = await begin(order_no, '203.0.113.9');
      expect(await refusedFrom('198.51.100.7', order_no, home.h5_url)).toHaveLength(2);
      const road = await begin(order_no, '198.51.100.7');
      expect(road.out_trade_no).not.toBe(home.out_trade_no);
      expect(await toldOf(road.out_trade_no)).toBe('198.51.100.7');
      expect(await refusedFrom('198.51.100.7', order_no, road.h5_url)).toEqual([]);
      expect(await refusedFrom('203.0.113.9', order_no, home.h5_url)).not.toEqual([]);
    });
  }
});
