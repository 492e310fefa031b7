/**
 * The demo shop's shelf. Running it again changes nothing that an owner has edited.
 */
import type { Db } from './db.ts';

const shelf = [
  {
    product_id: 'longjing',
    title: '明前龙井 50克',
    description: '西湖产区，清明前采摘',
    picture: '🍵',
    price_fen: 12_800,
  },
  {
    product_id: 'osmanthus-cake',
    title: '桂花糕 一盒',
    description: '当日现做，六枚装',
    picture: '🍡',
    price_fen: 3_600,
  },
  {
    product_id: 'tea-cup',
    title: '青瓷茶杯',
    description: '龙泉手作，单只',
    picture: '🏺',
    price_fen: 8_800,
  },
  { product_id: 'bookmark', title: '黄铜书签', description: '一叶知秋', picture: '🍂', price_fen: 990 },
  { product_id: 'postcard', title: '西湖明信片', description: '十景一套', picture: '🏞️', price_fen: 1_200 },
  {
    product_id: 'penny-candy',
    title: '一分钱的糖',
    description: '用来试试付款',
    picture: '🍬',
    price_fen: 1,
  },
];

/** Puts the demo products on sale, unless there are products already. Returns how many were added. */
export async function seed(db: Pick<Db, 'product'>): Promise<number> {
  if ((await db.product.count()) > 0) return 0;
  const { count } = await db.product.createMany({
    data: shelf.map((product, position) => ({ ...product, position })),
    skipDuplicates: true,
  });
  return count;
}
