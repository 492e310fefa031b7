'use client';
/** Goods of the catalogue to ring up instead of typing an amount. The server prices them; the sum here is for reading. */
import { MinusOutlined, PlusOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { formatFen } from '../../../../lib/money.ts';

export interface ShelfProduct {
  product_id: string;
  title: string;
  price_fen: number;
}

/** Quantities by product; none is 0. */
export type Picked = Record<string, number>;

const most = 99;

export function Goods({
  products,
  picked,
  onPicked,
}: {
  products: ShelfProduct[];
  picked: Picked;
  onPicked: (picked: Picked) => void;
}) {
  if (products.length === 0) return null;

  function change(product_id: string, by: number): void {
    const { [product_id]: held = 0, ...others } = picked;
    const quantity = Math.min(most, held + by);
    onPicked(quantity > 0 ? { ...others, [product_id]: quantity } : others);
  }

  return (
    <details className="goods">
      <summary>从商品中选（金额自动算）</summary>
      <ul>
        {products.map(({ product_id, title, price_fen }) => {
          const quantity = picked[product_id] ?? 0;
          return (
            <li key={product_id}>
              <span className="goods-title">
                {title} <small>{formatFen(price_fen)}</small>
              </span>
              <Button
                icon={<MinusOutlined aria-hidden />}
                aria-label={`少一件 ${title}`}
                disabled={quantity === 0}
                onClick={() => change(product_id, -1)}
              />
              <span className="goods-count">
                {quantity}
                <span className="unseen"> 件</span>
              </span>
              <Button
                icon={<PlusOutlined aria-hidden />}
                aria-label={`加一件 ${title}`}
                disabled={quantity === most}
                onClick={() => change(product_id, 1)}
                data-testid={`goods-more-${product_id}`}
              />
            </li>
          );
        })}
      </ul>
    </details>
  );
}
