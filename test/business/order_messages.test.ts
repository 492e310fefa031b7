/**
 * One message per paid order, exactly once in effect: whatever runs twice, fails, or stays silent, the buyer gets it at
 * the most once, and the order's timeline says in plain words what became of it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readOrder } from '../../lib/admin_orders.ts';
import { timelineOf } from '../../lib/admin_timeline.ts';
import { sweep } from '../../lib/jobs.ts';
import { sendOrderMessage } from '../../lib/order_messages.ts';
import { type Counter, openCounter, type Shopper } from '../setup/counter.ts';

interface Sent {
  openid: string;
  template_id: string;
  url: string;
  data: Record<string, string>;
}

let counter: Counter;
let account: { token: string; templates: { template_id: string; kind: string }[] };
let buyer: Shopper;

beforeAll(async () => {
  counter = await openCounter();
  account = (await counter.control<{ official_account: typeof account }>('config')).official_account;
});
afterAll(() => counter.close());
beforeEach(async () => {
  await counter.control('faults', undefined, 'DELETE');
  await counter.control('account', { refusing: [], server_url: 'http://127.0.0.1:9/' }, 'PUT');
  await counter.restart(settings('template'));
  await counter.ctx.db.credential.deleteMany();
  await counter.ctx.db.account_fault.deleteMany();
  buyer = counter.shopper();
  await buyer.signIn();
});

const settings = (kind: 'template' | 'subscribe') => ({
  WECHAT_MESSAGE_TEMPLATE_ID: account.templates.find((t) => t.kind === kind)?.template_id ?? '',
  WECHAT_MESSAGE_KIND: kind,
});

/** A paid and served order of this shopper, with its message waiting on the queue. */
async function paid(shopper = buyer): Promise<string> {
  const { order_no } = await shopper.order();
  const { out_trade_no } = await shopper.pay(order_no);
  await counter.control('pay', { out_trade_no });
  await expect.poll(async () => (await shopper.status(order_no)).state).toBe('SUCCESS');
  await counter.work('order_paid');
  return order_no;
}

const sentAbout = async (order_no: string): Promise<Sent[]> =>
  (await counter.control<{ sent: Sent[] }>('account')).sent.filter(
    ({ data }) => data.character_string1 === order_no,
  );
const row = (order_no: string) => counter.ctx.db.order_message.findUniqueOrThrow({ where: { order_no } });
const calls = async () =>
  (await counter.control<{ entries: unknown[] }>('log?limit=2000&path=/cgi-bin/message/template/send'))
    .entries.length;
/** Titles and notes of the order's messages, as the operator reads them. */
const told = async (order_no: string) => {
  const order = await readOrder(counter.ctx, order_no);
  const items = order === undefined || order === null ? [] : timelineOf(order);
  return items.filter(({ kind }) => kind.startsWith('message_')).map(({ title, notes }) => [title, ...notes]);
};

describe('a paid order', () => {
  test('is told to its buyer once, with its own words, and the timeline says so', async () => {
    const order_no = await paid();
    expect(await counter.work('order_message')).toBe(1);
    const [message, ...others] = await sentAbout(order_no);
    expect(others).toEqual([]);
    expect(message).toMatchObject({
      openid: buyer.openid,
      url: `${counter.host.origin}/pay/${order_no}`,
      data: { amount3: '¥0.01', time4: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d/) },
    });
    expect(await row(order_no)).toMatchObject({ state: 'SENT', msgid: expect.stringMatching(/^3\d{18}$/) });
    expect(await told(order_no)).toEqual([['给顾客发了消息', '已交给微信发送']]);
  });

  test('served twice, sent from six sides: one message', async () => {
    const order_no = await paid();
    await counter.ctx.db
      .$executeRaw`UPDATE pgboss.job SET state = 'created', completed_on = NULL WHERE name = 'order_paid'`;
    await counter.work('order_paid');
    await Promise.all(Array.from({ length: 6 }, () => sendOrderMessage(counter.ctx, order_no)));
    await counter.work('order_message');
    expect(await sentAbout(order_no)).toHaveLength(1);
  });

  test('whose job was lost is told all the same', async () => {
    const order_no = await paid();
    await counter.ctx.db.$executeRaw`DELETE FROM pgboss.job WHERE name = 'order_message'`;
    counter.advance(16 * 60);
    await sweep(counter.ctx);
    await counter.work('order_message');
    counter.advance(-16 * 60);
    expect(await sentAbout(order_no)).toHaveLength(1);
  });

  test('is not told at all without a template', async () => {
    await counter.restart({});
    const order_no = await paid();
    expect(await counter.work('order_message')).toBe(0);
    expect(await counter.ctx.db.order_message.findUnique({ where: { order_no } })).toBeNull();
  });

  test('whose payment somebody else began is told to who paid', async () => {
    await counter.restart({ ...settings('template'), WECHAT_PRODUCTS: 'JSAPI,NATIVE' });
    const visitor = counter.shopper();
    const { order_no } = await visitor.order();
    const other = counter.shopper(counter.simulator_config.users[1]?.openid);
    await other.signIn();
    await other.pay(order_no);
    const answer = await visitor.post(`/api/orders/${order_no}/pay`, { trade_type: 'NATIVE' });
    const { code_url } = (await answer.json()) as { code_url: string };
    await counter.control('pay', { code_url, openid: buyer.openid });
    await expect.poll(async () => (await visitor.status(order_no)).state).toBe('SUCCESS');
    await counter.work('order_paid');
    expect(await row(order_no)).toMatchObject({ openid: buyer.openid });
    await counter.work('order_message');
    expect(await sentAbout(order_no)).toMatchObject([{ openid: buyer.openid }]);
  });

  test('whose payer is known under another account only is nobody’s message', async () => {
    const { order_no } = await buyer.order();
    const { out_trade_no } = await buyer.pay(order_no);
    await counter.control('pay', { out_trade_no });
    await expect.poll(async () => (await buyer.status(order_no)).state).toBe('SUCCESS');
    const { appid } = counter.simulator_config.mini_program;
    await counter.ctx.db.trade.update({ where: { out_trade_no }, data: { appid } });
    await counter.work('order_paid');
    expect(await counter.ctx.db.order_message.count({ where: { order_no } })).toBe(0);
  });

  test('an unpaid order is nobody’s message', async () => {
    const { order_no } = await buyer.order();
    await sendOrderMessage(counter.ctx, order_no);
    expect(await counter.ctx.db.order_message.count({ where: { order_no } })).toBe(0);
  });

  test('a subscription notice goes to who does not follow', async () => {
    await counter.restart(settings('subscribe'));
    const other = counter.shopper(counter.simulator_config.users[2]?.openid);
    await other.signIn();
    const order_no = await paid(other);
    await counter.work('order_message');
    expect(await sentAbout(order_no)).toMatchObject([{ openid: other.openid }]);
  });

  test('what WeChat pushes later of the message stands on the timeline, once', async () => {
    await counter.restart({ ...settings('template'), WECHAT_SERVER_TOKEN: account.token });
    const order_no = await paid();
    await counter.work('order_message');
    const { msgid } = await row(order_no);
    const fields = {
      MsgType: 'event',
      Event: 'TEMPLATESENDJOBFINISH',
      MsgID: msgid ?? '',
      Status: 'failed:user block',
    };
    const url = `${counter.host.origin}/api/wechat/server`;
    for (const _ of [1, 2]) await counter.control('push', { mode: 'plain', url, fields });
    await counter.work('account_message');
    expect(await told(order_no)).toEqual([
      ['给顾客发了消息', '已交给微信发送'],
      ['消息没有发成', '顾客拒收公众号的消息'],
    ]);
    expect(await row(order_no)).toMatchObject({ state: 'SENT', delivery: 'failed:user block' });
  });
});

describe('what WeChat says no to', () => {
  test.each([
    [43101, '43101 用户拒收这类消息'],
    [40003, '40003 openid 不正确'],
    [43004, '43004 需要用户关注公众号'],
  ])('%i is the user’s own: on the timeline, not on the list of troubles', async (errcode, note) => {
    const order_no = await paid();
    await counter.control('faults', { send_api_errcode: { errcode } }, 'PUT');
    await counter.work('order_message');
    await counter.work('order_message');
    expect(await row(order_no)).toMatchObject({ state: 'REFUSED', code: String(errcode) });
    expect(await told(order_no)).toEqual([['消息没有发成', note]]);
    expect(await counter.ctx.db.account_fault.count()).toBe(0);
  });

  test('a wrong template is on the timeline and on the list of troubles', async () => {
    await counter.restart({ WECHAT_MESSAGE_TEMPLATE_ID: 'x'.repeat(43) });
    const order_no = await paid();
    await counter.work('order_message');
    expect(await row(order_no)).toMatchObject({ state: 'REFUSED', code: '40037' });
    expect(await counter.ctx.db.account_fault.findMany()).toMatchObject([
      { call: 'message', errcode: 40037 },
    ]);
  });

  test('a token that has died is replaced, and the message sent once', async () => {
    const order_no = await paid();
    await counter.control('faults', { send_api_errcode: { errcode: 42001, times: 1 } }, 'PUT');
    await counter.work('order_message');
    expect(await sentAbout(order_no)).toHaveLength(1);
    expect(await row(order_no)).toMatchObject({ state: 'SENT' });
  });

  test('busy: WeChat did nothing, so it is tried again later', async () => {
    const order_no = await paid();
    await counter.control('faults', { send_api_errcode: { errcode: -1, times: 1 } }, 'PUT');
    await expect(sendOrderMessage(counter.ctx, order_no)).rejects.toMatchObject({ errcode: -1 });
    expect(await row(order_no)).toMatchObject({ state: 'WAITING' });
    await sendOrderMessage(counter.ctx, order_no);
    expect(await sentAbout(order_no)).toHaveLength(1);
  });

  test('no token to be had: the message never left, so it is tried again later', async () => {
    const order_no = await paid();
    await counter.control('faults', { stable_token_http_502: { times: 1 } }, 'PUT');
    await expect(sendOrderMessage(counter.ctx, order_no)).rejects.toMatchObject({ code: 'HTTP_502' });
    expect(await row(order_no)).toMatchObject({ state: 'WAITING' });
    counter.advance(3);
    await sendOrderMessage(counter.ctx, order_no);
    expect(await sentAbout(order_no)).toHaveLength(1);
  });
});

describe('what stays unknown is not sent twice', () => {
  test('the answer is lost', async () => {
    const order_no = await paid();
    await counter.control('faults', { send_answer_lost: { times: 1 } }, 'PUT');
    const before = await calls();
    await counter.work('order_message');
    await sendOrderMessage(counter.ctx, order_no);
    expect(await calls()).toBe(before + 1);
    expect(await sentAbout(order_no)).toHaveLength(1);
    expect(await row(order_no)).toMatchObject({ state: 'UNKNOWN', code: 'NO_ANSWER' });
    expect(await told(order_no)).toEqual([
      ['消息结果未知', '微信没有应答，可能已送达；为免打扰顾客，不再重发'],
    ]);
  });

  test('whoever was sending died in the middle of it', async () => {
    const order_no = await paid();
    await counter.ctx.db.order_message.update({
      where: { order_no },
      data: { state: 'SENDING', sending_at: counter.ctx.now() },
    });
    await sendOrderMessage(counter.ctx, order_no);
    expect(await row(order_no)).toMatchObject({ state: 'SENDING' });
    counter.advance(60);
    await sendOrderMessage(counter.ctx, order_no);
    expect(await row(order_no)).toMatchObject({ state: 'UNKNOWN', code: 'CRASHED' });
    expect(await sentAbout(order_no)).toEqual([]);
  });

  test('after a day it is not worth sending any more', async () => {
    const order_no = await paid();
    counter.advance(86_401);
    await sendOrderMessage(counter.ctx, order_no);
    counter.advance(-86_401);
    expect(await row(order_no)).toMatchObject({ state: 'REFUSED', code: 'TOO_LATE' });
    expect(await sentAbout(order_no)).toEqual([]);
  });
});
