/** What needs a person, each with the way to where it is put right. What has been put right is gone from here. */
import type { Metadata } from 'next';
import Link from 'next/link';
import type { ReactNode } from 'react';
import {
  type AccountTrouble,
  type Attention,
  attentionCap,
  type BadBill,
  type OpenDifferences,
  readAttention,
  type StrangeMessage,
  type StuckRefund,
  type StuckTrade,
  type SurplusMoney,
} from '../../../../lib/admin_attention.ts';
import {
  accountCallInWords,
  differenceWords,
  fieldsInWords,
  problemInWords,
  settleWords,
  surplusWords,
} from '../../../../lib/admin_words.ts';
import { beijingText } from '../../../../lib/beijing.ts';
import { context } from '../../../../lib/context.ts';
import { formatFen } from '../../../../lib/money.ts';
import { type ConsoleEntry, consoleEntries } from '../../../../lib/platform_rules.ts';
import { CheckCircleOutlined } from '../../antd.client.ts';
import { RefundChip, TradeChip } from '../../chips.client.tsx';
import { requireOperator } from '../../operator.ts';
import { codeInWords } from '../../refund_words.ts';

export const metadata: Metadata = { title: '待处理' };

export default async function AttentionPage() {
  await requireOperator('/admin/attention');
  const ctx = context();
  const found = await readAttention(ctx);
  return (
    <main className="page">
      <h1>待处理</h1>
      {Object.values(found).every((list) => list.length === 0) ? (
        <div className="sheet sheet-empty sheet-fine" data-testid="nothing-to-do">
          <CheckCircleOutlined aria-hidden />
          <p>没有需要人处理的事：多收的钱都已退回，退款、通知和账单都正常。</p>
        </div>
      ) : (
        <Everything found={found} />
      )}
      <Consoles entries={consoleEntries(ctx.config)} />
    </main>
  );
}

function Everything({ found }: { found: Attention }) {
  return (
    <>
      <Group
        id="rules"
        title="与微信后台登记不符"
        hint="本店的地址和微信后台登记的不一致，顾客会付不了款；改好任一边后这里自动消失。"
        count={found.rules.length}
      >
        {found.rules.map((row) => (
          <Matter key={row.rule} href={undefined} link="">
            <span className="bad">{row.zh}</span>
            <span>{row.console_page}</span>
          </Matter>
        ))}
      </Group>
      <Group
        id="account"
        title="微信接口报错"
        hint="近 7 天失败、此后还没有成功过的调用，恢复后自动消失；顾客的页面报来的，一天没有新的就消失。"
        count={found.account.length}
      >
        {found.account.map((row) => (
          <AccountRow key={row.call} row={row} />
        ))}
      </Group>
      <Group
        id="surplus"
        title="多收的钱"
        hint="关闭后到账或重复支付的款项，系统会自动退还；退不成的要人处理。"
        count={found.surplus.length}
      >
        {found.surplus.map((row) => (
          <Surplus key={row.out_trade_no} row={row} />
        ))}
      </Group>
      <Group
        id="refunds"
        title="退款没有成"
        hint="退款异常到微信商户平台处理；被拒或关闭的可以重新发起，有新的退款后这里自动消失。"
        count={found.refunds.length}
      >
        {found.refunds.map((row) => (
          <Refund key={row.out_refund_no} row={row} />
        ))}
      </Group>
      <Group
        id="differences"
        title="账单差异"
        hint="到那一天逐条核实，处理后标记为已说明。"
        count={found.differences.length + found.bills.length}
      >
        {found.bills.map((row) => (
          <Bill key={row.bill_date} row={row} />
        ))}
        {found.differences.map((row) => (
          <Differences key={row.bill_date} row={row} />
        ))}
      </Group>
      <Group
        id="messages"
        title="与我方不符的通知"
        hint="近 7 天：能通过验签，却与我方订单不符，没有据此入账。请核对是否有别的系统共用商户号。"
        count={found.messages.length}
      >
        {found.messages.map((row) => (
          <Message key={JSON.stringify([row.kind, row.out_trade_no, row.verdict, row.detail])} row={row} />
        ))}
      </Group>
      <Group
        id="trades"
        title="久未有结果的支付"
        hint="早该支付或关闭、却还没有定论的支付单：到订单页再查询或关闭。"
        count={found.trades.length}
      >
        {found.trades.map((row) => (
          <Trade key={row.out_trade_no} row={row} />
        ))}
      </Group>
    </>
  );
}

/** Not a matter, and not counted: what to compare WeChat's consoles with. */
function Consoles({ entries }: { entries: ConsoleEntry[] }) {
  if (entries.length === 0) return null;
  return (
    <details className="card consoles" data-testid="consoles">
      <summary>微信后台应登记的内容</summary>
      <p className="none">按本店开通的支付方式列出，逐字登记；在设置里写明已登记的内容，启动时会自动核对。</p>
      <ul className="matters">
        {entries.map(({ entry, console_page, value, setting, stated }) => (
          <li key={entry}>
            <span className="matter">
              <strong>{console_page}</strong>
              <span className="code">{value ?? '服务器访问外网用的 IP'}</span>
            </span>
            {setting === undefined ? null : (
              <span className="none">{stated ? '已自动核对' : `未核对：${setting} 没有填`}</span>
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Group({
  id,
  title,
  hint,
  count,
  children,
}: {
  id: string;
  title: string;
  hint: string;
  count: number;
  children: ReactNode;
}) {
  if (count === 0) return null;
  return (
    <section className="card" aria-labelledby={id} data-testid={`attention-${id}`}>
      <h2 id={id}>
        {title} <span className="badge">{count >= attentionCap ? `${attentionCap}+` : count}</span>
      </h2>
      <p className="none">{hint}</p>
      <ul className="matters">{children}</ul>
    </section>
  );
}

function Matter({ href, link, children }: { href: string | undefined; link: string; children: ReactNode }) {
  return (
    <li>
      <span className="matter">{children}</span>
      {href === undefined ? null : (
        <Link href={href} prefetch={false} className="matter-link">
          {link}
        </Link>
      )}
    </li>
  );
}

const order = (order_no: string): string => `/admin/orders/${order_no}`;

function AccountRow({ row }: { row: AccountTrouble }) {
  return (
    <Matter href={undefined} link="">
      <strong>{accountCallInWords(row.call)}</strong>
      <span className="bad">{row.zh}</span>
      <span className="code">{row.code}</span>
      <span>{row.console_page ?? row.instead?.zh}</span>
      {row.times > 1 ? <span>失败 {row.times} 次</span> : null}
      <At at={row.last_at} what="最近" />
    </Matter>
  );
}

function Surplus({ row }: { row: SurplusMoney }) {
  return (
    <Matter href={order(row.order_no)} link="看订单">
      <strong>{formatFen(row.total_fen)}</strong>
      <span>{surplusWords[row.surplus] ?? row.surplus}</span>
      {row.refund_state === null ? (
        <span className="bad">还没有发起退款</span>
      ) : (
        <RefundChip state={row.refund_state} />
      )}
      {row.refused_code === null ? null : <span className="bad">{codeInWords(row.refused_code)}</span>}
      {row.refunded_fen === 0 ? null : <span>已退 {formatFen(row.refunded_fen)}</span>}
      <span className="code short">{row.out_trade_no}</span>
      {row.success_at === null ? null : <At at={row.success_at} what="到账" />}
    </Matter>
  );
}

function Refund({ row }: { row: StuckRefund }) {
  return (
    <Matter href={order(row.order_no)} link="看订单">
      <strong>{formatFen(row.refund_fen)}</strong>
      <RefundChip state={row.state} />
      {row.refused_code === null ? null : <span className="bad">{codeInWords(row.refused_code)}</span>}
      <span>{row.reason}</span>
      <span className="code short">{row.out_refund_no}</span>
      <At at={row.created_at} what="申请" />
    </Matter>
  );
}

function Differences({ row }: { row: OpenDifferences }) {
  const kinds = Object.entries(row.kinds).map(([kind, count]) => {
    const known = Object.hasOwn(differenceWords, kind);
    return `${known ? differenceWords[kind as keyof typeof differenceWords].title : kind} ${count}`;
  });
  return (
    <Matter href={`/admin/statements/${row.bill_date}`} link="去核对">
      <strong>{row.bill_date}</strong>
      <span className="bad">{row.count} 处差异</span>
      <span>{kinds.join('，')}</span>
    </Matter>
  );
}

function Bill({ row }: { row: BadBill }) {
  return (
    <Matter href={`/admin/statements/${row.bill_date}`} link="去核对">
      <strong>{row.bill_date}</strong>
      <span className="bad">账单没有采信</span>
      <span>{problemInWords(row.problem)}</span>
      <At at={row.tried_at} what="取账单" />
    </Matter>
  );
}

function Message({ row }: { row: StrangeMessage }) {
  const words = settleWords[row.verdict === 'mismatch' ? 'mismatch' : 'unknown_order'];
  const detail = row.kind === 'payment' ? fieldsInWords(row.detail.split(',').filter(Boolean)) : row.detail;
  return (
    <Matter href={row.order_no === null ? undefined : order(row.order_no)} link="看订单">
      <strong>{row.kind === 'refund' ? '退款通知' : '支付通知'}</strong>
      <span className="bad">{words.text}</span>
      {detail === '' ? null : <span>{row.kind === 'payment' ? `不一致：${detail}` : detail}</span>}
      {row.out_trade_no === null ? null : <span className="code short">{row.out_trade_no}</span>}
      {row.times > 1 ? <span>收到 {row.times} 次</span> : null}
      <At at={row.last_at} what="最近" />
    </Matter>
  );
}

function Trade({ row }: { row: StuckTrade }) {
  return (
    <Matter href={order(row.order_no)} link="看订单">
      <strong>{formatFen(row.total_fen)}</strong>
      <TradeChip state={row.trade_state} />
      <span className="code short">{row.out_trade_no}</span>
      <At at={row.expires_at} what="失效" />
      {row.asked_at === null ? <span>从未查询</span> : <At at={row.asked_at} what="上次查询" />}
    </Matter>
  );
}

function At({ at, what }: { at: Date; what: string }) {
  return (
    <time className="none" dateTime={at.toISOString()} title="北京时间">
      {what} {beijingText(at)}
    </time>
  );
}
