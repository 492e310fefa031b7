/** Each attempt to collect the order: what we hold, and what WeChat last said of it. */

import { beijingExactly } from '../../../../../lib/admin_timeline.ts';
import type { OrderView } from '../../../../../lib/admin_views.ts';
import { surplusWords } from '../../../../../lib/admin_words.ts';
import { beijingText } from '../../../../../lib/beijing.ts';
import { context } from '../../../../../lib/context.ts';
import { formatFen } from '../../../../../lib/money.ts';
import { Tag } from '../../../antd.client.ts';
import { TradeChip } from '../../../chips.client.tsx';
import { Copy } from '../../../copy.client.tsx';
import { wayInWords } from '../../../way_words.ts';
import { Refund } from './refund.client.tsx';

type Trade = OrderView['trades'][number] & { seller: string | undefined };

export function Trades({ order, sellers }: { order: OrderView; sellers: ReadonlyMap<string, string> }) {
  if (order.trades.length === 0) return <p className="none">顾客还没有发起支付，微信那边没有这笔订单。</p>;
  return (
    <ul className="trades">
      {order.trades
        .map((trade) => ({ ...trade, seller: sellers.get(trade.sub_mch_id ?? '') }))
        .map((trade) => (
          <li key={trade.out_trade_no} data-testid={`trade-${trade.out_trade_no}`}>
            <p className="trade-head">
              <Way trade={trade} />
              <span>{formatFen(trade.total_fen)}</span>
              {trade.out_trade_no === order.paid_trade_no ? <Tag color="success">本订单的付款</Tag> : null}
              {trade.surplus === null ? null : (
                <Tag color="error">多收：{surplusWords[trade.surplus] ?? trade.surplus}</Tag>
              )}
            </p>
            <GiveBack order={order} trade={trade} />
            <dl className="facts">
              <Pair name="我方状态">
                <TradeChip
                  state={trade.trade_state}
                  total_fen={trade.total_fen}
                  refunded_fen={trade.refundable.refunded_fen}
                />
              </Pair>
              <Pair name="微信最近所说">
                <Said trade={trade} />
              </Pair>
              <Pair name="上次查询">
                {trade.asked_at === null ? (
                  <span className="none">从未查询</span>
                ) : (
                  <time dateTime={trade.asked_at.toISOString()}>{beijingExactly(trade.asked_at)}</time>
                )}
              </Pair>
              <Pair name="商户单号">
                <LongNumber text={trade.out_trade_no} what="商户单号" />
              </Pair>
              <Pair name="微信单号">
                <LongNumber text={trade.transaction_id} what="微信单号" />
              </Pair>
              {trade.sub_mch_id === null ? null : (
                <Pair name="特约商户">
                  <span className="code">{trade.sub_mch_id}</span>
                  <small>{trade.seller ?? '不在 WECHAT_SUB_MERCHANTS 里'}</small>
                </Pair>
              )}
              <Pair name="appid">
                <span className="code">{trade.sub_appid ?? trade.appid}</span>
              </Pair>
              <Pair name="签名算法">{trade.sign_type}</Pair>
              <Pair name="prepay_id">
                <LongNumber text={trade.prepay_id} what=" prepay_id" />
                {trade.prepay_at === null ? null : <small>{beijingText(trade.prepay_at)} 取得</small>}
              </Pair>
              <Pair name="付款 openid">
                {trade.openid === null ? (
                  <span className="none">–</span>
                ) : (
                  <span className="code">{trade.openid}</span>
                )}
              </Pair>
              <Pair name="发起 / 失效">
                {beijingText(trade.created_at)} / {beijingText(trade.expires_at)}
              </Pair>
              {trade.success_at === null ? null : (
                <Pair name="微信支付时间">
                  {beijingText(trade.success_at)}
                  {trade.bank_type === null ? '' : `（${trade.bank_type}）`}
                </Pair>
              )}
              {trade.payer_total_fen === null || trade.payer_total_fen === trade.total_fen ? null : (
                <Pair name="顾客实付">{formatFen(trade.payer_total_fen)}</Pair>
              )}
            </dl>
          </li>
        ))}
    </ul>
  );
}

function GiveBack({ order: { order_no, refunds }, trade }: { order: OrderView; trade: Trade }) {
  const { until_at, ...sums } = trade.refundable;
  // A trade that took no money has nothing to give back; saying so of each would only be noise.
  if (until_at === null) return null;
  return (
    <Refund
      refunds={refunds
        .filter(({ out_trade_no }) => out_trade_no === trade.out_trade_no)
        .map(({ out_refund_no, state, refused_code }) => ({ out_refund_no, state, refused_code }))}
      trade={{
        order_no,
        out_trade_no: trade.out_trade_no,
        total_fen: trade.total_fen,
        until: beijingText(until_at),
        ...sums,
      }}
    />
  );
}

function Said({ trade: { wechat_said, trade_state, total_fen, refundable } }: { trade: Trade }) {
  if (wechat_said === null) return <span className="none">尚无</span>;
  const differs = wechat_said.trade_state !== trade_state && wechat_said.trade_state !== 'unknown';
  return (
    <>
      <TradeChip
        state={wechat_said.trade_state}
        total_fen={total_fen}
        refunded_fen={refundable.refunded_fen}
      />
      <small>
        {wechat_said.by === 'query' ? '查询' : '通知'}于 {beijingExactly(wechat_said.at)}
        {differs ? '，与我方不同' : ''}
      </small>
    </>
  );
}

function Way({ trade: { trade_type, api_version, sub_appid, appid } }: { trade: Trade }) {
  const { word, code } = wayInWords(trade_type, sub_appid ?? appid, context().config.WECHAT_MINI_APPID);
  return (
    <strong title={`${trade_type} ${api_version}`}>
      {word} {code} <small>{api_version}</small>
    </strong>
  );
}

function Pair({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function LongNumber({ text, what }: { text: string | null; what: string }) {
  if (text === null) return <span className="none">–</span>;
  return (
    <span className="number-copy">
      <span className="code">{text}</span>
      <Copy text={text} what={what} />
    </span>
  );
}
