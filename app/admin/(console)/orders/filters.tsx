/** The filter above the list. Every choice is a link, so that it can be opened, copied, and gone back from. */
import type { OrderFilter } from '../../../../lib/admin_orders.ts';
import { orderStateLabels, orderStates } from '../../../../lib/states.ts';
import { Choice } from '../choice.tsx';
import { listAddress, usualRanges } from './address.ts';
import { Search } from './search.client.tsx';

export function Filters({ filter, now }: { filter: OrderFilter; now: Date }) {
  const { q = '', from = '', to = '', state, surplus, size } = filter;
  const ranges = usualRanges(now);
  const kept = {
    ...(state === undefined ? {} : { state }),
    ...(surplus === undefined ? {} : { surplus }),
    ...(size === 20 ? {} : { size: String(size) }),
  };
  return (
    <section className="filters" aria-label="筛选">
      <Search searched={{ q, from, to }} kept={kept} today={ranges[0]?.to ?? ''} />
      <div className="choices">
        <fieldset className="choice-group">
          <legend>状态</legend>
          <Choice href={listAddress(filter, { state: undefined })} chosen={state === undefined}>
            全部
          </Choice>
          {/* Of a whole or of a part; the list says which. */}
          {orderStates.map((each) => (
            <Choice key={each} href={listAddress(filter, { state: each })} chosen={state === each}>
              {each === 'REFUND' ? '有退款' : orderStateLabels[each].zh}
            </Choice>
          ))}
          <Choice
            href={listAddress(filter, { surplus: surplus === undefined ? 'yes' : undefined })}
            chosen={surplus === 'yes'}
          >
            多收款
          </Choice>
        </fieldset>
        <fieldset className="choice-group">
          <legend>下单日（北京时间）</legend>
          <Choice
            href={listAddress(filter, { from: undefined, to: undefined })}
            chosen={from === '' && to === ''}
          >
            不限
          </Choice>
          {ranges.map((range) => (
            <Choice
              key={range.title}
              href={listAddress(filter, { from: range.from, to: range.to })}
              chosen={from === range.from && to === range.to}
            >
              {range.title}
            </Choice>
          ))}
        </fieldset>
      </div>
    </section>
  );
}
