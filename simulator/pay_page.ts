// The look of the small phone-like pages that the platform itself shows a payer. It decides nothing.

/** Fen as ¥1.23. */
export function yuanText(fen: number): string {
  return `¥${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`;
}

/** One page; `inner` is HTML already made safe. */
export function phonePage(title: string, inner: string): string {
  return `<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"><title>${title} · 模拟 simulated</title><style>
:root{color-scheme:light dark;--ground:light-dark(#ededed,#111);--card:light-dark(#fff,#1e1e1e);--ink:light-dark(#191919,#e6e6e6);--dim:light-dark(#6b6b6b,#a0a0a0)}
body{font:16px/1.6 -apple-system,"PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif;margin:0;background:var(--ground);color:var(--ink);display:flex;min-height:100vh;justify-content:center}
main{width:100%;max-width:420px;background:var(--card);padding:40px 24px;box-sizing:border-box;text-align:center}
small{display:block;font-size:12px;font-weight:400;color:inherit}
.amount{font-size:40px;font-weight:600;margin:8px 0}.who{margin:0;font-size:17px;font-weight:400}.small{color:var(--dim);font-size:14px}
.problem{font-size:18px;color:light-dark(#b3261e,#ff8a80)}
.button{display:block;width:100%;max-width:260px;margin:12px auto 0;padding:9px;border:0;border-radius:8px;box-sizing:border-box;font:inherit;font-weight:600;text-decoration:none;background:light-dark(#f2f2f2,#2c2c2c);color:var(--ink);cursor:pointer}
.pay{background:#067a3a;color:#fff}select{font:inherit;padding:4px 8px}
</style></head><body><main>${inner}</main></body></html>`;
}
