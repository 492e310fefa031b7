/** A service provider's day, split by the sub-merchants it is made of. */
import { formatE5, type SellerShare } from '../../../../../lib/admin_statements.ts';
import { formatFen } from '../../../../../lib/money.ts';

export function Sellers({ shares, names }: { shares: SellerShare[]; names: ReadonlyMap<string, string> }) {
  return (
    <section className="card" aria-labelledby="sellers">
      <h2 id="sellers">按特约商户</h2>
      <ul className="trades">
        {shares.map((share) => (
          <li key={share.sub_mch_id} data-testid={`seller-${share.sub_mch_id}`}>
            <p className="trade-head">
              <strong>{names.get(share.sub_mch_id) ?? '未登记的商户'}</strong>
              <span className="code">{share.sub_mch_id}</span>
            </p>
            <dl className="money">
              <div>
                <dt>收款</dt>
                <dd>
                  {formatFen(share.payment_fen)}
                  <small className="below">{share.payments} 笔</small>
                </dd>
              </div>
              <div>
                <dt>退款</dt>
                <dd>
                  {formatFen(share.refund_fen)}
                  <small className="below">{share.refunds} 笔</small>
                </dd>
              </div>
              <div>
                <dt>手续费</dt>
                <dd>{formatE5(share.fee_e5)}</dd>
              </div>
            </dl>
          </li>
        ))}
      </ul>
    </section>
  );
}
