/**
 * A shopper's page that lies where WeChat lets nobody pay: WeChat tells only that shopper, so the page reports it and
 * the operator is shown which page WeChat looked at and which console mends it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readAttention } from '../../lib/admin_attention.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';

let counter: Counter;
let shopper: Shopper;
let order_no: string;
let out_trade_no: string;
beforeAll(async () => {
  counter = await openCounter();
  shopper = counter.shopper();
  await shopper.signIn();
  ({ order_no } = await shopper.order());
  ({ out_trade_no } = await shopper.pay(order_no));
});
beforeEach(async () => {
  await counter.ctx.db.account_fault.deleteMany();
});
afterAll(() => counter.close());

const iPhone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) MicroMessenger/8.0.50';
const android = 'Mozilla/5.0 (Linux; Android 15) MicroMessenger/8.0.50';

async function report(said: Record<string, unknown>, user_agent = android): Promise<number> {
  const answer = await shopper.post(
    `/api/orders/${order_no}/bridge`,
    { out_trade_no, ...said },
    { 'user-agent': user_agent },
  );
  await answer.body?.cancel();
  return answer.status;
}
const troubles = async () => (await readAttention(counter.ctx)).account;

describe('当前页面的URL未注册', () => {
  test.each([
    ['iPhone', iPhone, () => '/'],
    ['Android', android, () => `/pay/${order_no}`],
  ])('on %s the page that WeChat judged is shown, without its query', async (_device, user_agent, page) => {
    const judged = page();
    const visit = {
      first_url: `${counter.host.origin}/?from=menu`,
      current_url: `${counter.host.origin}/pay/${order_no}?code=secret#x`,
    };
    expect(await report({ err_msg: '当前页面的URL未注册', ...visit }, user_agent)).toBe(200);
    const [trouble, ...others] = await troubles();
    expect(others).toEqual([]);
    expect(trouble).toMatchObject({ call: 'pay_page', code: 'URL_UNREGISTERED', times: 1 });
    for (const words of [trouble?.zh, trouble?.en])
      expect(words).toContain(`${counter.host.origin}${judged}`);
    expect(trouble?.zh.endsWith(`${counter.host.origin}${judged}`)).toBe(true);
    expect(trouble?.console_page).toContain('支付授权目录');
  });

  test.each([
    ['none', {}],
    ['a foreign page', { first_url: 'https://evil.example/', current_url: 'https://evil.example/' }],
    ['a page this shop has not', { first_url: '/call-110', current_url: '/pay/x' }],
    ['no address', { first_url: 'javascript:alert(1)', current_url: '<script>' }],
  ])('with %s for an address: the pay page it must have been', async (_what, visit) => {
    const said = Object.fromEntries(
      Object.entries(visit).map(([name, url]) => [
        name,
        url.startsWith('/') ? counter.host.origin + url : url,
      ]),
    );
    expect(await report({ err_msg: 'get_brand_wcpay_request:fail 当前页面的URL未注册', ...said })).toBe(200);
    const [trouble] = await troubles();
    expect(trouble?.zh.endsWith(`${counter.host.origin}/pay/${order_no}`)).toBe(true);
  });

  test('many shoppers are one row that counts; a day after the last one it is gone', async () => {
    await report({ err_msg: '当前页面的URL未注册' });
    await report({ err_msg: '当前页面的URL未注册' }, iPhone);
    expect(await troubles()).toMatchObject([{ times: 2 }]);
    const { now } = counter.ctx;
    const in_h = (hours: number) => ({
      ...counter.ctx,
      now: () => new Date(now().getTime() + hours * 3_600_000),
    });
    expect((await readAttention(in_h(23))).account).toHaveLength(1);
    expect((await readAttention(in_h(25))).account).toEqual([]);
  });
});

test('config:invalid url domain names the JS domain', async () => {
  await report({ err_msg: 'config:invalid url domain', current_url: `${counter.host.origin}/pay/1` });
  const [trouble] = await troubles();
  expect(trouble).toMatchObject({ call: 'js_page', code: 'INVALID_URL_DOMAIN' });
  expect(trouble?.console_page).toContain('JS接口安全域名');
});

test('nothing else that a page reports calls anybody', async () => {
  for (const err_msg of [
    'get_brand_wcpay_request:ok',
    'get_brand_wcpay_request:cancel',
    'get_brand_wcpay_request:fail',
    'config:invalid signature',
    '支付验证签名失败',
  ]) {
    expect(await report({ err_msg })).toBe(200);
  }
  expect(await troubles()).toEqual([]);
});

test("a stranger's report of another's trade is not heard", async () => {
  const stranger = counter.shopper(counter.simulator_config.users[1]?.openid);
  await stranger.signIn();
  const answer = await stranger.post(`/api/orders/${order_no}/bridge`, {
    out_trade_no,
    err_msg: '当前页面的URL未注册',
  });
  expect(answer.status).toBe(404);
  expect(await troubles()).toEqual([]);
});
