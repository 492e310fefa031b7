'use client';
/** The last resort: the document itself could not be drawn. It depends on nothing of ours. */

export default function GlobalError() {
  return (
    <html lang="zh-CN">
      <body
        style={{
          font: '17px/1.6 system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", sans-serif',
          textAlign: 'center',
          padding: '20vh 24px',
          colorScheme: 'light dark',
        }}
      >
        <title>柜台</title>
        <h1 style={{ fontSize: '1.3em' }}>页面暂时打不开</h1>
        <p>系统正忙，请稍后重试。已付的款不会丢失。</p>
        <p lang="en">The shop is busy, please try again shortly. Nothing you have paid is lost.</p>
        <p>
          <a href="/">返回商店 · Back to the shop</a>
        </p>
      </body>
    </html>
  );
}
