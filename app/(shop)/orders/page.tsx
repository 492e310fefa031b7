/** A shopper's own orders, each a link to its pay page, where it is paid or shows how it ended. */
import type { Metadata } from 'next';
import { beijingText } from '../../../lib/beijing.ts';
import { formatFen } from '../../../lib/money.ts';
import { listOwnOrders } from '../../../lib/orders.ts';
import { isPartlyRefunded, orderLabel } from '../../../lib/states.ts';
import { words } from '../../../lib/words.ts';
import { languageOfPage } from '../../language.ts';
import { Notice } from '../notice.tsx';
import { signedInVisitor } from '../visitor.ts';
import { SignOut } from './signout.client.tsx';

export const dynamic = 'force-dynamic';

export async function generateMetadata(): Promise<Metadata> {
  return { title: words[await languageOfPage()].orders.title };
}

export default async function Orders() {
  const { ctx, session, language, words } = await signedInVisitor('/orders');
  const orders = session === undefined ? [] : await listOwnOrders(ctx, session);
  const now = ctx.now();
  if (orders.length === 0) {
    const { empty_title, empty_text, to_shop } = words.orders;
    return (
      <Notice icon="empty" title={empty_title} text={empty_text} testid="no-orders">
        <a className="button primary" href="/">
          {to_shop}
        </a>
        {session === undefined ? null : <SignOut words={words.orders} />}
      </Notice>
    );
  }
  return (
    <>
      <header className="head">
        <a className="brand" href="/">
          <span className="mark" aria-hidden="true" />
          {ctx.config.SHOP_NAME}
        </a>
      </header>
      <main className="list" id="content">
        <h1>{words.orders.title}</h1>
        <ul className="cards">
          {orders.map(({ order_no, state, title, total_fen, refunded_fen, created_at, expires_at }) => {
            const expired = state === 'NOTPAY' && expires_at <= now;
            const label = expired
              ? words.orders.expired
              : orderLabel(state, total_fen, refunded_fen)[language];
            const part = isPartlyRefunded(state, total_fen, refunded_fen);
            return (
              <li key={order_no}>
                <a className="card order" href={`/pay/${order_no}`} data-testid={`order-${order_no}`}>
                  <span className="order-title">{title.replace(`${ctx.config.SHOP_NAME}-`, '')}</span>
                  <span className="order-amount">{formatFen(total_fen)}</span>
                  <span className="order-time">{beijingText(created_at).slice(0, 16)}</span>
                  <span className="chip" data-state={expired ? 'CLOSED' : state}>
                    {label}
                    {part ? ` ${formatFen(refunded_fen)}` : ''}
                  </span>
                </a>
              </li>
            );
          })}
        </ul>
        <div className="actions">
          <a className="button plain" href="/">
            {words.pay.back_to_shop}
          </a>
          <SignOut words={words.orders} />
        </div>
      </main>
    </>
  );
}
