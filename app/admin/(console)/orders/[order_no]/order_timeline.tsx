/** The order's history, oldest first: source, time to the millisecond, plain words, and the raw exchange behind them. */

import { beijingExactly, type TimelineItem } from '../../../../../lib/admin_timeline.ts';
import type { Tone } from '../../../../../lib/admin_words.ts';
import { Tag, Timeline } from '../../../antd.client.ts';
import { Copy } from '../../../copy.client.tsx';

const colours: Record<Tone, string> = { good: 'green', bad: 'red', waiting: 'blue', plain: 'gray' };

export function OrderTimeline({ items }: { items: TimelineItem[] }) {
  const trades = new Set(items.flatMap(({ out_trade_no }) => out_trade_no ?? []));
  return (
    <div data-testid="timeline" className="timeline">
      <Timeline
        items={items.map((item) => ({
          key: item.key,
          color: colours[item.tone],
          content: <Item item={item} showTrade={trades.size > 1} />,
        }))}
      />
    </div>
  );
}

function Item({ item, showTrade }: { item: TimelineItem; showTrade: boolean }) {
  const last = item.repeated_at.at(-1);
  return (
    <div data-testid="timeline-item" data-kind={item.kind} className={`moment moment-${item.tone}`}>
      <p className="moment-head">
        <strong>{item.title}</strong>
        <Tag className="chip">{item.source}</Tag>
        {last === undefined ? null : (
          <Tag color="warning" className="chip" data-testid="repeats">
            重复 {item.repeated_at.length} 次
          </Tag>
        )}
        <time dateTime={item.at.toISOString()}>{beijingExactly(item.at)}</time>
      </p>
      {item.notes.length === 0 ? null : <p className="moment-notes">{item.notes.join(' · ')}</p>}
      {item.out_trade_no === null || !showTrade ? null : (
        <p className="moment-number">
          商户单号 <span className="code">{item.out_trade_no}</span>
        </p>
      )}
      {last === undefined ? null : (
        <details>
          <summary>重复收到的时间（最后一次 {beijingExactly(last)}）</summary>
          <ol className="repeats">
            {item.repeated_at.map((at, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two copies may come in the same millisecond
              <li key={index}>{beijingExactly(at)}</li>
            ))}
          </ol>
        </details>
      )}
      {item.raws.length === 0 ? null : (
        <details>
          <summary>原始内容</summary>
          {item.raws.map(({ title, format, text }) => (
            <figure key={title} className="raw">
              <figcaption>
                <span>{title}</span>
                {text === '' ? null : <Copy text={text} what="（已隐去签名与 openid）" />}
              </figcaption>
              <pre data-format={format}>{text === '' ? '（空）' : text}</pre>
            </figure>
          ))}
        </details>
      )}
    </div>
  );
}
