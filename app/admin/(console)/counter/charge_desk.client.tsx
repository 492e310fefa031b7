'use client';
/**
 * The cash desk: an amount or some goods, then a payment code that a scanner types and ends with Enter. One key per
 * charge, kept while nobody knows whether the server heard of it, so that trying again is the same charge.
 */
import { Alert, Button, Input, type InputRef } from 'antd';
import { useRouter } from 'next/navigation';
import { type FormEvent, useCallback, useEffect, useRef, useState } from 'react';
import { formatFen, yuanToFen } from '../../../../lib/money.ts';
import { ask, leaveIfSignedOut } from '../../ask.client.ts';
import { Field } from '../field.client.tsx';
import { ChargePanel } from './charge_panel.client.tsx';
import type { ChargeView } from './charge_view.ts';
import { FaceDevice } from './face_device.client.tsx';
import { Goods, type Picked, type ShelfProduct } from './goods.client.tsx';

interface ChargeBody {
  title: string;
  total_fen?: number;
  items?: { product_id: string; quantity: number }[];
  sub_mch_id?: string;
  payer:
    | { trade_type: 'MICROPAY'; auth_code: string }
    | { trade_type: 'FACEPAY'; face_code: string; openid: string };
  charge_key: string;
}

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const seller_kept = 'guitai_counter_seller';

/** A till stands in one shop: whoever was chosen last at this browser is chosen again. */
function useSeller(
  sellers: readonly { sub_mch_id: string }[],
): [string | undefined, (sub_mch_id: string) => void] {
  const [seller, setSeller] = useState(sellers[0]?.sub_mch_id);
  useEffect(() => {
    const kept = localStorage.getItem(seller_kept);
    if (sellers.some(({ sub_mch_id }) => sub_mch_id === kept)) setSeller(kept ?? undefined);
  }, [sellers]);
  const choose = useCallback((sub_mch_id: string) => {
    localStorage.setItem(seller_kept, sub_mch_id);
    setSeller(sub_mch_id);
  }, []);
  return [seller, choose];
}

const blank = { yuan: '', title: '收款', code: '', face_code: '', openid: '' };
type Wrong = Partial<Record<keyof typeof blank, string>>;

export function ChargeDesk({
  products,
  sellers,
  started,
  way,
}: {
  products: ShelfProduct[];
  /** Partner mode: who may be given a bare amount. */
  sellers: readonly { sub_mch_id: string; name: string }[];
  /** A charge to go on with, named by the address. */
  started: ChargeView | null;
  way: { code: boolean; face: boolean };
}) {
  const router = useRouter();
  const [charge, setCharge] = useState(started);
  const [draft, setDraft] = useState(blank);
  const [picked, setPicked] = useState<Picked>({});
  const [seller, setSeller] = useSeller(sellers);
  const [wrong, setWrong] = useState<Wrong>({});
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState<{ type: 'error' | 'warning'; title: string }>();
  /** What was sent without an answer: sent again as it was. */
  const [unheard, setUnheard] = useState<ChargeBody>();
  const amount = useRef<InputRef>(null);
  const code = useRef<InputRef>(null);
  const face = useRef<InputRef>(null);
  const sending = useRef(false);

  const items = Object.entries(picked).map(([product_id, quantity]) => ({ product_id, quantity }));
  const goods_fen = products.reduce(
    (sum, { product_id, price_fen }) => sum + price_fen * (picked[product_id] ?? 0),
    0,
  );

  useEffect(() => {
    if (charge === null) amount.current?.focus();
  }, [charge]);

  const show = useCallback(
    (next: ChargeView) => {
      setCharge(next);
      if (next.next_poll_ms === null) router.refresh();
    },
    [router],
  );

  function begin(): void {
    setCharge(null);
    setDraft(blank);
    setPicked({});
    setWrong({});
    setTold(undefined);
    window.history.replaceState(null, '', '/admin/counter');
    router.refresh();
  }

  function submit(by: 'code' | 'face', event: FormEvent): void {
    event.preventDefault();
    if (sending.current) return;
    const total_fen = items.length > 0 ? goods_fen : yuanToFen(draft.yuan.trim().replace(/^¥/, ''));
    const auth_code = draft.code.replace(/\s/g, '');
    const found: Wrong = {
      ...(total_fen === undefined ? { yuan: '请以元填写，至少 0.01，最多两位小数，例如 12.30' } : {}),
      ...(draft.title.trim() === '' ? { title: '请写明卖的是什么，顾客会在微信里看到' } : {}),
      ...(by === 'code' && !/^1[0-5]\d{16}$/.test(auth_code)
        ? { code: '付款码是 18 位数字，以 10 到 15 开头：请扫顾客微信“收付款”里的条码' }
        : {}),
      ...(by === 'face' && draft.face_code.trim() === '' ? { face_code: '请填设备给出的 face_code' } : {}),
      ...(by === 'face' && draft.openid.trim() === '' ? { openid: '请填设备给出的 openid' } : {}),
    };
    setWrong(found);
    if (found.yuan !== undefined) amount.current?.focus({ cursor: 'all' });
    else if (found.code !== undefined) code.current?.focus({ cursor: 'all' });
    else if (found.face_code !== undefined) face.current?.focus();
    if (Object.keys(found).length > 0 || total_fen === undefined) return;
    void send({
      title: draft.title.trim(),
      ...(items.length > 0
        ? { items }
        : { total_fen, ...(seller === undefined ? {} : { sub_mch_id: seller }) }),
      payer:
        by === 'code'
          ? { trade_type: 'MICROPAY', auth_code }
          : { trade_type: 'FACEPAY', face_code: draft.face_code.trim(), openid: draft.openid.trim() },
      charge_key: newKey(),
    });
  }

  async function send(body: ChargeBody): Promise<void> {
    if (sending.current) return;
    sending.current = true;
    setBusy(true);
    setTold(undefined);
    const answer = await ask<ChargeView>('/api/admin/counter/charge', body);
    sending.current = false;
    setBusy(false);
    if (leaveIfSignedOut(answer)) return;
    if (answer.ok) {
      setUnheard(undefined);
      window.history.replaceState(null, '', `/admin/counter?charge=${answer.body.out_trade_no}`);
      show(answer.body);
      // The day's list shows it as without a result from its first moment.
      if (answer.body.next_poll_ms !== null) router.refresh();
      return;
    }
    if (answer.status === 0 || answer.status >= 500) {
      setUnheard(body);
      setTold({
        type: 'warning',
        title: `没有收到结果：可能已经收款，也可能没有（${answer.message}）。请再试一次，用的是同一个请求，不会收两次。`,
      });
      return;
    }
    setUnheard(undefined);
    setTold({ type: 'error', title: answer.message });
    setDraft((old) => ({ ...old, code: '' }));
    requestAnimationFrame(() => code.current?.focus());
  }

  if (charge !== null) return <ChargePanel charge={charge} onCharge={show} onNext={begin} />;

  const type = (name: keyof typeof blank) => (value: string) => {
    setDraft((old) => ({ ...old, [name]: value }));
    setWrong(({ [name]: _, ...others }) => others);
  };
  return (
    <section className="card desk" aria-label="收款">
      <div role="alert" data-testid="charge-told">
        {told === undefined ? null : <Alert showIcon {...told} />}
      </div>
      {unheard === undefined ? null : (
        <Button
          type="primary"
          size="large"
          loading={busy}
          onClick={() => void send(unheard)}
          data-testid="charge-again"
        >
          再试一次（同一笔）
        </Button>
      )}
      <form
        className="desk-form"
        onSubmit={(event) => submit('code', event)}
        noValidate
        hidden={unheard !== undefined}
      >
        <Field label="金额（元）" wrong={wrong.yuan} testid="charge-amount-wrong">
          {(props) => (
            <Input
              {...props}
              ref={amount}
              className="desk-amount"
              size="large"
              prefix="¥"
              inputMode="decimal"
              autoComplete="off"
              maxLength={12}
              readOnly={items.length > 0}
              value={items.length > 0 ? formatFen(goods_fen).slice(1).replaceAll(',', '') : draft.yuan}
              onChange={({ target }) => type('yuan')(target.value)}
              onPressEnter={(event) => {
                // The scanner's Enter ends a charge; the one after an amount goes on to the code.
                event.preventDefault();
                code.current?.focus({ cursor: 'all' });
              }}
              data-testid="charge-amount"
            />
          )}
        </Field>
        {sellers.length > 1 && items.length === 0 ? (
          <Field label="收款商户" wrong={undefined} testid="charge-seller-wrong">
            {({ id }) => (
              <select
                id={id}
                className="desk-seller"
                value={seller}
                onChange={({ target }) => setSeller(target.value)}
                data-testid="charge-seller"
              >
                {sellers.map(({ sub_mch_id, name }) => (
                  <option key={sub_mch_id} value={sub_mch_id}>
                    {name}（{sub_mch_id}）
                  </option>
                ))}
              </select>
            )}
          </Field>
        ) : null}
        <Field label="商品说明（顾客在微信账单里看到）" wrong={wrong.title} testid="charge-title-wrong">
          {(props) => (
            <Input
              {...props}
              autoComplete="off"
              maxLength={40}
              value={draft.title}
              onChange={({ target }) => type('title')(target.value)}
              data-testid="charge-title"
            />
          )}
        </Field>
        <Goods products={products} picked={picked} onPicked={setPicked} />
        {way.code ? (
          <Field
            label="付款码（用扫码枪扫，或手工输入后按回车）"
            wrong={wrong.code}
            testid="charge-code-wrong"
          >
            {(props) => (
              <Input
                {...props}
                ref={code}
                className="desk-code"
                size="large"
                inputMode="numeric"
                autoComplete="off"
                maxLength={24}
                value={draft.code}
                onChange={({ target }) => type('code')(target.value)}
                data-testid="charge-code"
              />
            )}
          </Field>
        ) : null}
        {way.code ? (
          <Button type="primary" size="large" htmlType="submit" loading={busy} data-testid="charge-submit">
            收款
          </Button>
        ) : null}
      </form>
      {way.face ? (
        <details className="desk-face" hidden={unheard !== undefined} open={!way.code}>
          <summary>刷脸收款</summary>
          <form className="desk-form" onSubmit={(event) => submit('face', event)} noValidate>
            <Field label="face_code（刷脸设备给出）" wrong={wrong.face_code} testid="charge-face-wrong">
              {(props) => (
                <Input
                  {...props}
                  ref={face}
                  autoComplete="off"
                  maxLength={128}
                  value={draft.face_code}
                  onChange={({ target }) => type('face_code')(target.value)}
                  data-testid="charge-face"
                />
              )}
            </Field>
            <Field label="openid（刷脸设备给出）" wrong={wrong.openid} testid="charge-openid-wrong">
              {(props) => (
                <Input
                  {...props}
                  autoComplete="off"
                  maxLength={128}
                  value={draft.openid}
                  onChange={({ target }) => type('openid')(target.value)}
                  data-testid="charge-openid"
                />
              )}
            </Field>
            <Button htmlType="submit" size="large" loading={busy} data-testid="charge-face-submit">
              刷脸收款
            </Button>
          </form>
        </details>
      ) : null}
      {way.face ? (
        <details className="desk-face" hidden={unheard !== undefined}>
          <summary>刷脸设备授权</summary>
          <FaceDevice sub_mch_id={seller} />
        </details>
      ) : null}
    </section>
  );
}
