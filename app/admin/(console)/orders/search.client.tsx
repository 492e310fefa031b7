'use client';
/**
 * The search box and the two days. A plain GET form that works without this code; with it, the page changes in place,
 * the address holds only what was filled in, and `/` brings one here.
 */
import { SearchOutlined } from '@ant-design/icons';
import { Button, Input, type InputRef } from 'antd';
import { useRouter } from 'next/navigation';
import { type FormEvent, useEffect, useRef, useState, useTransition } from 'react';

export interface Searched {
  q: string;
  from: string;
  to: string;
}

export function Search({
  searched,
  kept,
  today,
}: {
  searched: Searched;
  /** The rest of the filter, which a search does not change. */
  kept: Record<string, string>;
  today: string;
}) {
  const router = useRouter();
  const [pending, start] = useTransition();
  const [typed, setTyped] = useState(searched);
  const box = useRef<InputRef>(null);
  const { q, from, to } = searched;

  useEffect(() => setTyped({ q, from, to }), [q, from, to]);
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => onShortcut(event, box.current);
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, []);

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(event.currentTarget)) {
      if (typeof value === 'string' && value.trim() !== '') query.append(name, value.trim());
    }
    start(() => router.push(query.size === 0 ? '/admin/orders' : `/admin/orders?${query}`));
  }

  return (
    <search>
      <form action="/admin/orders" method="get" className="search" onSubmit={submit}>
        <Input
          ref={box}
          name="q"
          type="search"
          className="search-box"
          prefix={<SearchOutlined aria-hidden />}
          suffix={<kbd title="按 / 键到这里">/</kbd>}
          placeholder="订单、商户、微信、退款单号（可只输开头）或 openid"
          aria-label="按单号或 openid 搜索"
          aria-keyshortcuts="/"
          maxLength={64}
          spellCheck={false}
          autoComplete="off"
          value={typed.q}
          onChange={({ target }) => setTyped({ ...typed, q: target.value })}
          data-testid="order-search"
        />
        <span className="search-days">
          <Input
            name="from"
            type="date"
            aria-label="起始日（北京时间）"
            max={typed.to === '' ? today : typed.to}
            value={typed.from}
            onChange={({ target }) => setTyped({ ...typed, from: target.value })}
          />
          <span aria-hidden>至</span>
          <Input
            name="to"
            type="date"
            aria-label="截止日（北京时间，含当天）"
            min={typed.from}
            max={today}
            value={typed.to}
            onChange={({ target }) => setTyped({ ...typed, to: target.value })}
          />
        </span>
        {Object.entries(kept).map(([name, value]) => (
          <input key={name} type="hidden" name={name} value={value} />
        ))}
        <Button type="primary" htmlType="submit" loading={pending}>
          查询
        </Button>
      </form>
    </search>
  );
}

/** `/` to the search box; `j` and `k` down and up the rows, where Enter opens as on any link. */
function onShortcut(event: KeyboardEvent, box: InputRef | null): void {
  const { target } = event;
  const typing =
    target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]');
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '/') {
    event.preventDefault();
    box?.focus({ cursor: 'all' });
  }
  if (event.key !== 'j' && event.key !== 'k') return;
  const rows = [...document.querySelectorAll<HTMLElement>('a[data-row]')];
  const here = rows.findIndex((row) => row.matches(':focus'));
  const there = event.key === 'j' ? here + 1 : here === -1 ? rows.length - 1 : here - 1;
  rows[there]?.focus();
}
