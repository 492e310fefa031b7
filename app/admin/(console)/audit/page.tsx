/** The operators' book, newest first. Reading only: there is no address that changes it. */
import type { Metadata } from 'next';
import Link from 'next/link';
import { type AuditRow, auditActions, auditFilter, listAudit } from '../../../../lib/admin_audit.ts';
import { actionInWords, auditInWords, targetAddress } from '../../../../lib/admin_audit_words.ts';
import { beijingText } from '../../../../lib/beijing.ts';
import { context } from '../../../../lib/context.ts';
import { Tag } from '../../antd.client.ts';
import { requireOperator } from '../../operator.ts';
import { Choice } from '../choice.tsx';
import { Empty } from '../empty.tsx';
import { addressOf, Paging } from '../paging.tsx';

export const metadata: Metadata = { title: '操作记录' };

const address = (query: Record<string, string | undefined>): string => addressOf('/admin/audit', query);

export default async function AuditPage({
  searchParams,
}: {
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}) {
  const filter = auditFilter.parse(await searchParams);
  const { action, target, after } = filter;
  await requireOperator(address(filter));
  const { rows, next } = await listAudit(context(), filter);
  return (
    <main className="page">
      <h1>操作记录</h1>
      <section className="filters" aria-label="筛选">
        <div className="choices">
          <fieldset className="choice-group">
            <legend>操作</legend>
            <Choice href={address({ target })} chosen={action === undefined}>
              全部
            </Choice>
            {auditActions.map((each) => (
              <Choice key={each} href={address({ target, action: each })} chosen={action === each}>
                {actionInWords(each)}
              </Choice>
            ))}
          </fieldset>
        </div>
        {target === undefined ? (
          <p className="none">每次操作和每次被拒的尝试都留在这里，不能修改或删除。</p>
        ) : (
          <p>
            只看 <span className="code">{target}</span>{' '}
            <Link href={address({ action })} prefetch={false}>
              看全部
            </Link>
          </p>
        )}
      </section>
      {rows.length === 0 ? (
        <Empty testid="no-audit">
          <p>没有这样的记录</p>
        </Empty>
      ) : (
        <div className="sheet">
          <table className="rows audit-rows">
            <caption className="unseen">操作记录，新的在前；时间为北京时间</caption>
            <thead>
              <tr>
                <th scope="col">
                  时间<small>北京时间</small>
                </th>
                <th scope="col">操作员</th>
                <th scope="col">操作</th>
                <th scope="col">对象</th>
                <th scope="col">内容与结果</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Row key={String(row.id)} row={row} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Paging
        first={after === undefined ? undefined : address({ action, target })}
        next={next === undefined ? undefined : address({ action, target, after: next })}
      />
    </main>
  );
}

function Row({ row }: { row: AuditRow }) {
  const href = targetAddress(row);
  return (
    <tr data-testid="audit-row" data-action={row.action}>
      <td data-label="时间">
        <time dateTime={row.at.toISOString()}>{beijingText(row.at)}</time>
      </td>
      <td data-label="操作员">
        <span>
          {row.username}
          <small className="below">{row.ip}</small>
        </span>
      </td>
      <td data-label="操作">
        <Tag className="chip" color={row.action.endsWith('_refused') ? 'error' : 'default'}>
          {actionInWords(row.action)}
        </Tag>
      </td>
      <td data-label="对象">
        {href === undefined ? (
          <span className="code short">{row.target}</span>
        ) : (
          <Link href={href} prefetch={false} className="code short" title={row.target}>
            {row.target}
          </Link>
        )}
      </td>
      <td data-label="内容">
        <span>{auditInWords(row).join(' · ')}</span>
      </td>
    </tr>
  );
}
