/** An order's history as an operator reads it: one order of time, repeats counted, words for every kind. */
import { describe, expect, test } from 'vitest';
import type { readOrder } from '../../lib/admin_orders.ts';
import { beijingExactly, timelineOf } from '../../lib/admin_timeline.ts';
import { orderView } from '../../lib/admin_views.ts';
import { bridgeInWords } from '../../lib/admin_words.ts';

type Read = NonNullable<Awaited<ReturnType<typeof readOrder>>>;
type EventRow = Read['events'][number];
type NotificationRow = Read['notifications'][number];

const openid = 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o';
/** Whoever scanned the code, where somebody else had begun. */
const payer_openid = 'oUpF8uMScanned_M2pxb1Q9zNjW7';
const out_trade_no = '20261123183001ABCDEFGHJKMNPQRS';
const at = (ms: number) => new Date(Date.UTC(2026, 10, 23, 10, 30, 0, ms));

let id = 0n;
function event(ms: number, kind: string, changes: Partial<EventRow> = {}): EventRow {
  id += 1n;
  return {
    id,
    at: at(ms),
    order_no: 'o',
    out_trade_no,
    kind,
    source: 'shopper',
    data: {},
    notification_id: null,
    ...changes,
  };
}
function notification(ms: number, verdict: string, detail = ''): NotificationRow {
  id += 1n;
  const body = `<xml><openid><![CDATA[${openid}]]></openid><sign>ABCDEF0123456789</sign></xml>`;
  return {
    id: `00000000-0000-0000-0000-${String(id).padStart(12, '0')}`,
    received_at: at(ms),
    api_version: 'v2',
    kind: 'payment',
    headers: { 'wechatpay-signature': 'c2lnbmF0dXJl' },
    body: Buffer.from(body),
    body_bytes: null,
    body_sha256: null,
    verdict,
    detail,
    out_trade_no,
  };
}
function read(events: EventRow[], notifications: NotificationRow[] = []): Read {
  const trade = {
    out_trade_no,
    openid,
    payer_openid,
    surplus: null,
    total_fen: 100,
    trade_state: 'SUCCESS',
    asked_at: null,
    success_at: at(0),
  };
  const order = {
    order_no: 'o',
    state: 'SUCCESS',
    openid,
    total_fen: 100,
    paid_trade_no: out_trade_no,
    items: [],
    trades: [trade],
  };
  return { order, events, notifications, refunds: [], read_at: at(0) } as unknown as Read;
}

describe('the timeline', () => {
  test('stands in order of time, a message before what it caused', () => {
    const items = timelineOf(
      read(
        [event(0, 'order_created'), event(9, 'paid', { source: 'notification' }), event(12, 'order_served')],
        [notification(9, 'applied')],
      ),
    );
    expect(items.map(({ kind }) => kind)).toEqual(['order_created', 'notification', 'paid', 'order_served']);
    expect(items.map(({ source }) => source)).toEqual(['顾客', '微信通知', '微信通知', '顾客']);
  });

  test('forty messages are two items: the one that counted, and how often it came again', () => {
    const again = Array.from({ length: 40 }, (_, nth) => notification(100 + nth, 'already'));
    const items = timelineOf(read([event(9, 'paid')], [notification(9, 'applied'), ...again]));
    expect(items.map(({ kind, repeated_at }) => [kind, repeated_at.length])).toEqual([
      ['notification', 0],
      ['paid', 0],
      ['notification', 39],
    ]);
    expect(items[2]?.title).toBe('收到重复的支付通知');
    expect(items[2]?.repeated_at.at(-1)).toEqual(at(139));
  });

  test('messages that were not believed for different reasons are not one', () => {
    const items = timelineOf(
      read([], [notification(1, 'mismatch', 'total_fee'), notification(2, 'mismatch', 'openid,total_fee')]),
    );
    expect(items.map(({ notes }) => notes[1])).toEqual(['不一致的内容：金额', '不一致的内容：付款人、金额']);
    expect(items.map(({ tone }) => tone)).toEqual(['bad', 'bad']);
  });

  test('shows the exchange with WeChat, without signature or openid', () => {
    const exchange = {
      method: 'POST',
      path: '/pay/orderquery',
      request_body: `<xml><openid>${openid}</openid><sign>ABCDEF0123456789</sign></xml>`,
      status: 200,
      response_body: `{"note":"${openid} ${payer_openid}"}`,
      request_id: '08F7',
      started_at: at(0).toISOString(),
      duration_ms: 84,
    };
    const data = { exchange, trade_state: 'SUCCESS', verdict: 'applied', differs: [] };
    const [item] = timelineOf(read([event(5, 'query', { data, source: 'operator' })]));
    expect(item?.notes).toEqual(['微信说：已支付', '已据此更新']);
    expect(item?.raws.map(({ title }) => title)).toEqual([
      '请求 POST /pay/orderquery',
      '应答 HTTP 200，用时 84 毫秒，Request-ID 08F7',
      '记录',
    ]);
    const everything = JSON.stringify(
      orderView(read([event(5, 'query', { data })], [notification(6, 'applied')])),
    );
    expect(everything).not.toContain(openid);
    expect(everything).not.toContain(payer_openid);
    expect(everything).not.toContain('ABCDEF0123456789');
    expect(everything).not.toContain('c2lnbmF0dXJl');
  });

  test('a question without an answer says so', () => {
    const data = { error: { outcome: 'unknown', code: 'NO_ANSWER', message: 'timed out' } };
    const [item] = timelineOf(read([event(5, 'query', { data })]));
    expect(item).toMatchObject({ tone: 'bad', notes: ['结果未知，会再次查询：NO_ANSWER timed out'] });
  });

  test('a kind that is newer than the console is shown by its own name', () => {
    expect(timelineOf(read([event(1, 'constructor')]))[0]).toMatchObject({
      title: 'constructor',
      tone: 'plain',
    });
  });
});

test('WeChat’s last word of a trade is the later of a query’s answer and a believed message', () => {
  const asked = (ms: number, trade_state: string) => event(ms, 'query', { data: { trade_state } });
  const said = (events: EventRow[], notifications: NotificationRow[] = []) =>
    orderView(read(events, notifications)).trades[0]?.wechat_said;
  expect(said([])).toBeNull();
  expect(said([asked(5, 'NOTPAY')])).toEqual({ trade_state: 'NOTPAY', by: 'query', at: at(5) });
  expect(said([asked(5, 'NOTPAY')], [notification(7, 'applied')])).toMatchObject({
    by: 'notification',
    at: at(7),
  });
  expect(said([asked(9, 'REFUND')], [notification(7, 'applied')])).toMatchObject({ trade_state: 'REFUND' });
  expect(said([asked(5, 'NOTPAY')], [notification(7, 'mismatch')])).toMatchObject({ trade_state: 'NOTPAY' });
  expect(said([event(5, 'query', { data: { error: { code: 'NO_ANSWER' } } })])).toMatchObject({
    trade_state: 'unknown',
  });
});

test('times are Beijing’s, to the millisecond', () => {
  expect(beijingExactly(new Date('2026-11-23T16:00:00.007Z'))).toBe('2026-11-24 00:00:00.007');
});

test('what the bridge answered is told in words, and its own words are kept where they say more', () => {
  expect(bridgeInWords('get_brand_wcpay_request:cancel')).toBe('顾客取消了支付');
  expect(bridgeInWords('get_brand_wcpay_request:fail 系统繁忙')).toBe('顾客端提示支付失败：系统繁忙');
  expect(bridgeInWords('access_denied')).toBe('access_denied');
});
