// `npm run code -- PRODUCT [--short] [--svg FILE]`: the code of NATIVE mode 1 for goods, or for an order, to be printed.
// Every scan of it asks this shop for an order. `--short` has WeChat shorten the link, which makes a coarser code.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { renderSVG } from 'uqr';
import { readConfig } from '../lib/config.ts';
import { createContext } from '../lib/context.ts';
import { printedCodes } from '../lib/native_scan.ts';
import { numberPattern } from '../lib/numbers.ts';
import { loadEnvironmentFiles } from './environment_files.ts';
import { Fault, runScript } from './fault.ts';

const usage = 'usage: npm run code -- PRODUCT [--short] [--svg FILE]';

await runScript(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { short: { type: 'boolean' }, svg: { type: 'string' } },
  });
  const [product_id] = positionals;
  if (product_id === undefined || positionals.length > 1) throw new Fault(usage);
  loadEnvironmentFiles();
  const config = readConfig(process.env);
  const ctx = createContext(config);
  try {
    const native = printedCodes(ctx);
    if (native === undefined) {
      throw new Fault(
        'Printed codes need WECHAT_API_VERSION=v2, NATIVE in WECHAT_PRODUCTS and no WECHAT_SUB_MERCHANTS.',
      );
    }
    const known = numberPattern.test(product_id)
      ? await ctx.db.order.count({ where: { order_no: product_id } })
      : await ctx.db.product.count({ where: { product_id } });
    if (known === 0) throw new Fault(`There are no goods and no order named ${product_id}.`);
    const link = native.link(product_id);
    const text = values.short ? (await native.shortUrl(link)).short_url : link;
    process.stdout.write(`${text}\n`);
    if (values.svg !== undefined) writeFileSync(values.svg, renderSVG(text, { ecc: 'M', border: 3 }));
    process.stderr.write(
      `Set 扫码回调链接 in the merchant platform (产品中心 → 开发配置) to ${config.PUBLIC_URL}/api/wechat/native\n`,
    );
    return 0;
  } finally {
    await ctx.close();
  }
});
