'use client';
/**
 * The shelf as the shopper fills a basket from it: quantities, running total, checkout. Prices shown here are a
 * courtesy; the order is priced by the server. One basket makes one order, however often it is sent.
 */
import { useEffect, useRef, useState } from 'react';
import { formatFen } from '../../lib/money.ts';
import type { Words } from '../../lib/words.ts';
import { fill } from './fill.client.ts';

interface Product {
  product_id: string;
  title: string;
  description: string;
  picture: string;
  price_fen: number;
}

type Basket = Record<string, number>;

/** What survives a reload: the basket, and the key and number of the order it became. */
interface Kept {
  basket: Basket;
  key?: string;
  order_no?: string;
}

const slot = 'guitai_checkout';
const most = 99;

function recall(): Kept {
  try {
    const kept = JSON.parse(sessionStorage.getItem(slot) ?? '{}') as Partial<Kept>;
    return { ...kept, basket: kept.basket ?? {} };
  } catch {
    return { basket: {} };
  }
}

function keep(kept: Kept): void {
  try {
    sessionStorage.setItem(slot, JSON.stringify(kept));
  } catch {
    // A browser without storage loses the basket on a reload, nothing else.
  }
}

function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

export function Shelf({
  products,
  words,
  language,
}: {
  products: Product[];
  words: Words['shop'];
  language: 'zh' | 'en';
}) {
  const [basket, setBasket] = useState<Basket>({});
  /** False until this page can hear a tap. */
  const [awake, setAwake] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const kept = useRef<Kept>({ basket: {} });
  const sending = useRef(false);

  useEffect(() => {
    const restore = (): void => {
      kept.current = recall();
      sending.current = false;
      setBasket(kept.current.basket);
      setBusy(false);
    };
    const returned = (event: PageTransitionEvent): void => {
      if (event.persisted) restore();
    };
    restore();
    setAwake(true);
    window.addEventListener('pageshow', returned);
    return () => window.removeEventListener('pageshow', returned);
  }, []);

  const chosen = products.filter(({ product_id }) => (basket[product_id] ?? 0) > 0);
  const total_fen = chosen.reduce(
    (sum, { product_id, price_fen }) => sum + price_fen * (basket[product_id] ?? 0),
    0,
  );
  const count = chosen.reduce((sum, { product_id }) => sum + (basket[product_id] ?? 0), 0);

  /** Another basket is another order: the key of the former one goes. */
  const change = (product_id: string, step: number): void => {
    if (sending.current) return;
    const quantity = Math.min(most, Math.max(0, (basket[product_id] ?? 0) + step));
    const next = { ...basket, [product_id]: quantity };
    if (quantity === 0) delete next[product_id];
    kept.current = { basket: next };
    keep(kept.current);
    setBasket(next);
    setProblem('');
  };

  const checkout = async (): Promise<void> => {
    if (sending.current || count === 0) return;
    sending.current = true;
    setBusy(true);
    setProblem('');
    const said = await order(false);
    if (said === undefined) return;
    sending.current = false;
    setBusy(false);
    setProblem(said);
  };

  /** Places the order and leaves by a full page load; what it returns is why it could not. */
  const order = async (again: boolean): Promise<string | undefined> => {
    const key = kept.current.key ?? newKey();
    kept.current = { ...kept.current, key };
    keep(kept.current);
    const items = chosen.map(({ product_id }) => ({ product_id, quantity: basket[product_id] ?? 0 }));
    const answer = await fetch('/api/orders', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Accept-Language': language },
      body: JSON.stringify({ items, checkout_key: key }),
    }).catch(() => undefined);
    const body = (await answer?.json().catch(() => undefined)) as
      | { order_no?: string; error?: { code: string; message: string; support_id?: string } }
      | undefined;
    if (answer?.ok && body?.order_no !== undefined) {
      kept.current = { ...kept.current, order_no: body.order_no };
      keep(kept.current);
      location.assign(`/pay/${body.order_no}`);
      return undefined;
    }
    if (body?.error?.code === 'checkout_key_reused' && !again) {
      delete kept.current.key;
      return order(true);
    }
    if (body?.error === undefined) return words.no_answer;
    const { message, support_id } = body.error;
    return support_id === undefined ? message : `${message} ${fill(words.support, { id: support_id })}`;
  };

  return (
    <main className="list shelf" id="content">
      <h1 className="unseen">{words.title}</h1>
      <ul className="cards">
        {products.map((product, place) => (
          <Card
            key={product.product_id}
            product={product}
            tint={place % 6}
            quantity={basket[product.product_id] ?? 0}
            words={words}
            awake={awake}
            change={change}
          />
        ))}
      </ul>
      <noscript>
        <p className="problem">{words.noscript}</p>
      </noscript>
      <section className="till" aria-label={words.total}>
        <p className="problem" role="alert">
          {problem}
        </p>
        <p className="sum" aria-live="polite">
          <span>{count === 0 ? words.nothing : fill(words.pieces, { count })}</span>
          <strong>
            <span className="unseen">{words.total} </span>
            <span data-testid="total">{formatFen(total_fen)}</span>
          </strong>
        </p>
        <button
          className="button primary"
          type="button"
          data-testid="checkout"
          disabled={busy || count === 0}
          onClick={() => void checkout()}
        >
          {busy ? words.checking_out : words.checkout}
        </button>
      </section>
    </main>
  );
}

function Card({
  product: { product_id, title, description, picture, price_fen },
  tint,
  quantity,
  words,
  awake,
  change,
}: {
  product: Product;
  tint: number;
  quantity: number;
  words: Words['shop'];
  awake: boolean;
  change: (product_id: string, step: number) => void;
}) {
  return (
    <li className="card product" data-testid={`product-${product_id}`}>
      <span className="picture" data-tint={tint} aria-hidden="true">
        {picture}
      </span>
      <div className="about">
        <h2>{title}</h2>
        <p>{description}</p>
      </div>
      <div className="buy">
        <strong className="price">{formatFen(price_fen)}</strong>
        <div className="stepper">
          <button
            type="button"
            data-testid={`product-${product_id}-minus`}
            aria-label={fill(words.less, { title })}
            hidden={quantity === 0}
            onClick={() => change(product_id, -1)}
          >
            −
          </button>
          <output
            data-testid={`product-${product_id}-quantity`}
            aria-label={fill(words.quantity, { title })}
            hidden={quantity === 0}
          >
            {quantity}
          </output>
          <button
            type="button"
            className="plus"
            data-testid={`product-${product_id}-plus`}
            aria-label={fill(words.more, { title })}
            disabled={!awake || quantity >= most}
            onClick={() => change(product_id, 1)}
          >
            +
          </button>
        </div>
      </div>
    </li>
  );
}
