/** The day's flow of funds by business type, and why there is none when there is none. */
import { flowStateWords, problemInWords } from '../../../../../lib/admin_words.ts';
import { beijingText } from '../../../../../lib/beijing.ts';
import type { FundFlowDay } from '../../../../../lib/fund_flow.ts';
import { formatFen } from '../../../../../lib/money.ts';
import { Alert } from '../../../antd.client.ts';

export function FundFlow({ flow }: { flow: FundFlowDay }) {
  return (
    <section className="card" aria-labelledby="fund-flow" data-testid="fund-flow">
      <h2 id="fund-flow">资金账单</h2>
      {flow.problem === '' ? null : (
        <Alert
          type={flow.state === 'REFUSED' ? 'error' : 'warning'}
          showIcon
          title={flowStateWords[flow.state]}
          description={problemInWords(flow.problem)}
        />
      )}
      {flow.sums.length === 0 ? (
        flow.problem === '' ? (
          <p className="none">{flowStateWords[flow.state]}</p>
        ) : null
      ) : (
        <table className="evidence">
          <thead>
            <tr>
              <th scope="col">业务类型</th>
              <th scope="col">收入</th>
              <th scope="col">支出</th>
              <th scope="col">笔数</th>
            </tr>
          </thead>
          <tbody>
            {flow.sums.map(({ kind, direction, count, fen }) => (
              <tr key={`${kind} ${direction}`}>
                <th scope="row">{kind}</th>
                <td>{direction === 'income' ? formatFen(fen) : '–'}</td>
                <td>{direction === 'expense' ? formatFen(fen) : '–'}</td>
                <td>{count.toLocaleString('en-US')}</td>
              </tr>
            ))}
            <tr>
              <th scope="row">合计</th>
              <td>{formatFen(flow.income_fen)}</td>
              <td>{formatFen(flow.expense_fen)}</td>
              <td>{flow.rows.toLocaleString('en-US')}</td>
            </tr>
          </tbody>
        </table>
      )}
      <p className="none">
        {flow.state === 'NOT_COMPARED' ? `${flowStateWords.NOT_COMPARED} ` : ''}
        最近一次 {beijingText(flow.tried_at)}（北京时间）
      </p>
    </section>
  );
}
