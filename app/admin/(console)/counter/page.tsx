/** The operator's counter: charge a payment code or a face, watch it to its end, and today's charges. */
import type { Metadata } from 'next';
import { counterDay, readCharge } from '../../../../lib/admin_counter.ts';
import { context } from '../../../../lib/context.ts';
import { AppError } from '../../../../lib/errors.ts';
import { listProducts } from '../../../../lib/products.ts';
import { isOpened } from '../../../../lib/ways.ts';
import { requireOperator } from '../../operator.ts';
import { Empty } from '../empty.tsx';
import { ChargeDesk } from './charge_desk.client.tsx';
import type { ChargeView } from './charge_view.ts';
import './counter.css';
import { Today } from './today.tsx';

export const metadata: Metadata = { title: '收款' };

export default async function CounterPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}) {
  const { charge: asked } = await searchParams;
  const number = typeof asked === 'string' && /^\w{1,40}$/.test(asked) ? asked : undefined;
  await requireOperator(number === undefined ? '/admin/counter' : `/admin/counter?charge=${number}`);
  const ctx = context();
  const way = { code: isOpened(ctx.config, 'MICROPAY'), face: isOpened(ctx.config, 'FACEPAY') };
  if (!way.code && !way.face) return <NotOpened />;
  const [started, products, day] = await Promise.all([
    number === undefined ? null : startedCharge(number),
    listProducts(ctx),
    counterDay(ctx),
  ]);
  return (
    <main className="page counter">
      <h1>收款</h1>
      <ChargeDesk
        key={started?.out_trade_no ?? 'new'}
        started={started}
        way={way}
        sellers={ctx.config.WECHAT_SUB_MERCHANTS ?? []}
        products={products.map(({ product_id, title, price_fen }) => ({ product_id, title, price_fen }))}
      />
      <Today day={day} />
    </main>
  );
}

/** What the page's browser code needs of a charge; a number that is none begins a new one. */
async function startedCharge(out_trade_no: string): Promise<ChargeView | null> {
  try {
    const { created_at: _made, paid_at: _paid, ...charge } = await readCharge(context(), out_trade_no);
    return charge;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'not_found') return null;
    throw thrown;
  }
}

function NotOpened() {
  return (
    <main className="page">
      <h1>收款</h1>
      <Empty testid="counter-not-opened">
        <p>还没有开通：在设置 WECHAT_PRODUCTS 里加上 MICROPAY（付款码）或 FACEPAY（刷脸）</p>
      </Empty>
    </main>
  );
}
