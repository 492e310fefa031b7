/** Ways of paying in an operator's words, for pages and their browser code alike. */

/** How an order is paid, by `trade_type`; `code` is what WeChat's documents call it where the word is not enough. */
const wayWords: Record<string, { word: string; code?: string }> = {
  JSAPI: { word: '公众号支付', code: 'JSAPI' },
  MINIPROGRAM: { word: '小程序', code: 'JSAPI' },
  NATIVE: { word: '扫码', code: 'Native' },
  MWEB: { word: '手机网页', code: 'H5' },
  APP: { word: 'APP' },
  MICROPAY: { word: '付款码' },
  FACEPAY: { word: '刷脸' },
};

/** A trade's way in words; JSAPI under the mini-program's appid is the mini-program. Unknown ones stay as they are. */
export function wayInWords(
  trade_type: string,
  appid?: string | null,
  mini_appid?: string,
): { word: string; code?: string } {
  const mini = trade_type === 'JSAPI' && mini_appid !== undefined && appid === mini_appid;
  const way = mini ? 'MINIPROGRAM' : trade_type;
  return Object.hasOwn(wayWords, way) ? (wayWords[way] ?? { word: way }) : { word: way };
}
