/** The shop: what is on sale, straight from the shelf. Inside WeChat it is shown to a signed-in shopper. */
import { listProducts } from '../../lib/products.ts';
import { Notice } from './notice.tsx';
import { Shelf } from './shelf.client.tsx';
import { signedInVisitor } from './visitor.ts';

export const dynamic = 'force-dynamic';

export default async function Shop() {
  const { ctx, words, language } = await signedInVisitor('/');
  const products = await listProducts(ctx);
  return (
    <>
      <header className="head">
        <a className="brand" href="/">
          <span className="mark" aria-hidden="true" />
          {ctx.config.SHOP_NAME}
        </a>
        <a className="head-link" href="/orders">
          {words.shop.my_orders}
        </a>
      </header>
      {products.length === 0 ? (
        <Notice icon="empty" title={words.shop.empty_title} text={words.shop.empty_text} />
      ) : (
        <Shelf products={products} words={words.shop} language={language} />
      )}
    </>
  );
}
