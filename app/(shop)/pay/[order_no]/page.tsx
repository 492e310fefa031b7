/**
 * The pay page: complete and payable as HTML, before any script of the framework has come. It shows an order to
 * its buyer, and to whoever holds its link outside WeChat; it moves no money, that is the doorways' business.
 */
import type { Metadata } from 'next';
import { headers } from 'next/headers';
import { notFound } from 'next/navigation';
import { payScript } from '../../../../generated/pay-script.ts';
import { beijingText } from '../../../../lib/beijing.ts';
import type { Context } from '../../../../lib/context.ts';
import { formatFen, speakFen } from '../../../../lib/money.ts';
import { numberPattern } from '../../../../lib/numbers.ts';
import { type ShownOrder, showOrder } from '../../../../lib/orders.ts';
import { isOpened } from '../../../../lib/ways.ts';
import { languageTag, type Words, words } from '../../../../lib/words.ts';
import { languageOfPage } from '../../../language.ts';
import { Notice } from '../../notice.tsx';
import { signedInVisitor, type Visitor } from '../../visitor.ts';
import {
  actionRegion,
  asSent,
  codeRegion,
  embedJson,
  linkRegion,
  qrRegion,
  statusRegion,
} from '../regions.ts';
import { firstState, type PageWay, type PayData } from '../view.client.ts';

export const dynamic = 'force-dynamic';

type Route = {
  params: Promise<{ order_no: string }>;
  searchParams: Promise<Record<string, string | string[] | undefined>>;
};

export async function generateMetadata(): Promise<Metadata> {
  return { title: words[await languageOfPage()].pay.title };
}

export default async function Pay({ params, searchParams }: Route) {
  const { order_no } = await params;
  if (!numberPattern.test(order_no)) notFound();
  const who = await signedInVisitor(`/pay/${order_no}`);
  const order = await showOrder(who.ctx, who.session, order_no);
  if (order === undefined) notFound();
  if (order.standing === 'stranger') {
    const { stranger_title, stranger_text, back_to_shop } = who.words.pay;
    return (
      <Notice icon="warn" title={stranger_title} text={stranger_text} testid="stranger">
        <a className="button primary" href="/">
          {back_to_shop}
        </a>
      </Notice>
    );
  }
  const nonce = (await headers()).get('x-nonce') ?? undefined;
  const returned = (await searchParams).from === 'h5';
  return <Order who={who} order={order} nonce={nonce} returned={returned} />;
}

/** How this page pays by itself, where it stands and with what the shop has opened. */
function wayOf({ ctx, place }: Visitor): PageWay | undefined {
  if (place === 'wechat' || place === 'wechat_desktop') return 'JSAPI';
  if (place === 'desktop' && isOpened(ctx.config, 'NATIVE')) return 'NATIVE';
  return place === 'phone' && isOpened(ctx.config, 'MWEB') ? 'MWEB' : undefined;
}

function Order({
  who,
  order,
  nonce,
  returned,
}: {
  who: Visitor;
  order: ShownOrder;
  nonce: string | undefined;
  returned: boolean;
}) {
  const { ctx, place, language } = who;
  const { pay, moments } = who.words;
  const way = wayOf(who);
  const data: PayData = {
    order_no: order.order_no,
    place,
    facts: {
      state: order.state,
      expired: order.expired,
      total_fen: order.total_fen,
      refunded_fen: order.refunded_fen,
      surplus_fen: order.surplus_fen,
    },
    ...(way === undefined ? {} : { way }),
    ...(returned ? { returned } : {}),
    ...(ctx.config.PAY_PAGE_BRIDGE === 'js_sdk' ? { js_sdk: true } : {}),
    open_way: order.open_trade?.trade_type ?? null,
    expires_in_ms: order.expires_at.getTime() - ctx.now().getTime(),
    language: languageTag[language],
    words: moments,
  };
  const state = firstState(place, data.facts, data);
  const ways = (
    <Ways
      ctx={ctx}
      place={place}
      way={way}
      order_no={order.order_no}
      words={pay}
      mini_text={moments.mini_text}
    />
  );
  const amount = formatFen(order.total_fen);
  return (
    <>
      <main
        className="pay"
        id="pay"
        data-testid="pay-state"
        data-state={state}
        data-place={place}
        data-way={way}
        data-code={isOpened(ctx.config, 'JSAPI') ? 'link' : 'making'}
        suppressHydrationWarning
      >
        <p className="offline" role="status">
          {pay.offline}
        </p>
        <header className="payee">
          <span className="mark" aria-hidden="true" />
          <p>
            {pay.payee} <strong>{ctx.config.SHOP_NAME}</strong>
          </p>
          <h1>
            <span className="unseen">{pay.amount} </span>
            <span aria-hidden="true" data-testid="pay-amount">
              <small>¥</small>
              {amount.slice(1)}
            </span>
            <span className="unseen">{language === 'zh' ? speakFen(order.total_fen) : amount}</span>
          </h1>
        </header>
        <section className="status" role="status" aria-live="polite" {...asSent(statusRegion(state, data))} />
        {way === 'MWEB' ? null : ways}
        <Details order={order} words={pay} />
        <div className="actions" {...asSent(actionRegion(state, data, pay))} />
        {way === 'MWEB' && isOpened(ctx.config, 'JSAPI') ? ways : null}
        <nav className="actions after">
          <a className="button primary again" href="/" data-testid="order-again">
            {pay.order_again}
          </a>
          <a className="button plain home" href="/" data-testid="back-to-shop">
            {pay.back_to_shop}
          </a>
          <a className="button plain" href="/orders">
            {pay.my_orders}
          </a>
        </nav>
      </main>
      <script id="pay-data" type="application/json" {...asSent(embedJson(data))} />
      <script nonce={nonce} {...asSent(payScript)} />
    </>
  );
}

/** How to pay from where the page cannot pay by itself. */
function Ways({
  ctx,
  place,
  way,
  order_no,
  words,
  mini_text,
}: {
  ctx: Context;
  place: Visitor['place'];
  way: PageWay | undefined;
  order_no: string;
  words: Words['pay'];
  mini_text: string;
}) {
  if (place === 'wechat') return null;
  const url = `${ctx.config.PUBLIC_URL}/pay/${order_no}`;
  if (way === 'NATIVE') {
    const link = isOpened(ctx.config, 'JSAPI') ? url : undefined;
    return (
      <section className="ways card">
        <h2>{words.scan_title}</h2>
        <div className="code" {...asSent(codeRegion(link, words))} />
      </section>
    );
  }
  if (place === 'desktop' || place === 'wechat_desktop') {
    return (
      <section className="ways card">
        <h2>{place === 'desktop' ? words.scan_title : words.scan_other}</h2>
        <div
          className="qr"
          role="img"
          aria-label={words.scan_label}
          data-testid="qr"
          {...asSent(qrRegion(url))}
        />
        <p>{words.scan_text}</p>
      </section>
    );
  }
  const inside = place === 'mini_program';
  return (
    <section className="ways card">
      <h2>{inside ? words.mini_title : way === 'MWEB' ? words.open_other : words.open_title}</h2>
      {inside ? (
        <p>{mini_text}</p>
      ) : (
        <ol className="steps">
          {words.open_steps.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
      )}
      <div className="copy" {...asSent(linkRegion(url, words))} />
      <p>{words.open_text}</p>
    </section>
  );
}

function Details({ order, words }: { order: ShownOrder; words: Words['pay'] }) {
  return (
    <section className="card details" aria-label={words.items}>
      <ul>
        {order.items.map(({ title, price_fen, quantity }) => (
          <li key={title}>
            <span className="what">{title}</span>
            <span className="times">× {quantity}</span>
            <span className="price">{formatFen(price_fen * quantity)}</span>
          </li>
        ))}
      </ul>
      <dl>
        <div>
          <dt>{words.order_no}</dt>
          <dd className="number">{order.order_no}</dd>
        </div>
        {order.paid_at === null ? (
          <div className="deadline">
            <dt>{words.expires}</dt>
            <dd>{beijingText(order.expires_at).slice(0, 16)}</dd>
          </div>
        ) : (
          <div>
            <dt>{words.paid_at}</dt>
            <dd>{beijingText(order.paid_at).slice(0, 16)}</dd>
          </div>
        )}
      </dl>
    </section>
  );
}
