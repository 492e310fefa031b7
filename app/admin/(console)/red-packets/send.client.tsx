'use client';
/**
 * Sending a red packet: the wish, then the wish repeated to be confirmed, then one request. While its outcome is unknown
 * the key is kept, so that trying again is the same packet.
 */
import { Alert, Button, Input, type InputRef } from 'antd';
import { useRouter } from 'next/navigation';
import { type FormEvent, useEffect, useRef, useState, useTransition } from 'react';
import { formatFen, yuanToFen } from '../../../../lib/money.ts';
import { type RedPacketState, redPacketStateLabels } from '../../../../lib/states.ts';
import { ask, leaveIfSignedOut } from '../../ask.client.ts';
import { Dialog } from '../../dialog.client.tsx';
import { Field } from '../field.client.tsx';

interface Wish {
  openid?: string;
  order_no?: string;
  total_fen: number;
  total_num: number;
  act_name: string;
  wishing: string;
  command_key: string;
}

interface Sent {
  mch_billno: string;
  state: RedPacketState;
  refused: { zh: string } | null;
  made: boolean;
}

const blank = { to: '', yuan: '', people: '1', act_name: '', wishing: '恭喜发财，大吉大利' };
type Name = keyof typeof blank;
type Wrong = Partial<Record<Name, string>>;

const orderNumber = /^\d{14}[0-9A-HJKMNP-TV-Z]{16}$/;

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function read(draft: typeof blank, left_fen: number): Wish | Wrong {
  const to = draft.to.trim();
  const total_fen = yuanToFen(draft.yuan.trim().replace(/^¥/, ''));
  const total_num = /^\d{1,2}$/.test(draft.people.trim()) ? Number(draft.people) : 0;
  const wrong: Wrong = {};
  if (!/^[\w-]{8,128}$/.test(to)) wrong.to = '请填订单号（发给它的买家）或收红包的人的 openid';
  if (total_fen === undefined) wrong.yuan = '请以元填写，最多两位小数，例如 8.88';
  else if (total_fen > left_fen) wrong.yuan = `今天最多还可发 ${formatFen(left_fen)}`;
  if (total_num < 1 || total_num > 20 || total_num === 2) wrong.people = '1 人，或 3 到 20 人';
  else if (total_fen !== undefined && (total_fen < total_num * 100 || total_fen > total_num * 20_000)) {
    wrong.yuan ??= '每人 1 至 200 元';
  }
  if (draft.act_name.trim() === '') wrong.act_name = '请填活动名称';
  if (draft.wishing.trim() === '') wrong.wishing = '请填祝福语';
  if (Object.keys(wrong).length > 0 || total_fen === undefined) return wrong;
  return {
    ...(orderNumber.test(to) ? { order_no: to } : { openid: to }),
    total_fen,
    total_num,
    act_name: draft.act_name.trim(),
    wishing: draft.wishing.trim(),
    command_key: newKey(),
  };
}

export function SendRedPacket({ left_fen }: { left_fen: number }) {
  const router = useRouter();
  const [draft, setDraft] = useState(blank);
  const [wrong, setWrong] = useState<Wrong>({});
  const [wish, setWish] = useState<Wish>();
  const [busy, setBusy] = useState(false);
  const [unknown, setUnknown] = useState(false);
  const [told, setTold] = useState<{ type: 'success' | 'warning' | 'error'; title: string }>();
  const [, start] = useTransition();
  const first = useRef<InputRef>(null);
  const confirm = useRef<HTMLButtonElement>(null);
  const asking = wish !== undefined;

  useEffect(() => {
    if (asking) confirm.current?.focus();
  }, [asking]);

  function next(event: FormEvent): void {
    event.preventDefault();
    const found = read(draft, left_fen);
    if (!('command_key' in found)) {
      setWrong(found);
      first.current?.focus();
      return;
    }
    setWrong({});
    setTold(undefined);
    setWish(found);
  }

  async function submit(): Promise<void> {
    if (busy || wish === undefined) return;
    setBusy(true);
    const answer = await ask<Sent>('/api/admin/red-packets', wish);
    setBusy(false);
    if (leaveIfSignedOut(answer)) return;
    if (!answer.ok && (answer.status === 0 || answer.status >= 500)) {
      setUnknown(true);
      setTold({
        type: 'warning',
        title: `没有收到结果：红包可能已经登记，也可能没有（${answer.message}）。再试一次用的是同一个请求，不会发两个。`,
      });
      return;
    }
    setUnknown(false);
    setWish(undefined);
    if (answer.ok) {
      const { state, refused, mch_billno } = answer.body;
      setDraft(blank);
      setTold({
        type: state === 'REFUSED' || state === 'FAILED' ? 'error' : 'success',
        title: `${redPacketStateLabels[state].zh}：${formatFen(wish.total_fen)}，红包单号 ${mch_billno}${refused === null ? '' : `。${refused.zh}`}`,
      });
    } else setTold({ type: 'error', title: answer.message });
    start(() => router.refresh());
  }

  const type = (name: Name) => (value: string) => {
    setDraft((old) => ({ ...old, [name]: value }));
    setWrong(({ [name]: _, ...others }) => others);
  };
  const notice = told === undefined ? null : <Alert showIcon {...told} />;
  return (
    <section className="card packet" aria-label="发红包">
      <div role="status" aria-live="polite" data-testid="packet-told">
        {asking ? null : notice}
      </div>
      <form className="packet-form" onSubmit={next} noValidate>
        <Field label="发给谁：订单号，或收红包的人的 openid" wrong={wrong.to} testid="packet-to-wrong">
          {(props) => (
            <Input
              {...props}
              ref={first}
              autoComplete="off"
              maxLength={128}
              value={draft.to}
              onChange={({ target }) => type('to')(target.value)}
              data-testid="packet-to"
            />
          )}
        </Field>
        <Field label="金额（元，合计）" wrong={wrong.yuan} testid="packet-yuan-wrong">
          {(props) => (
            <Input
              {...props}
              prefix="¥"
              inputMode="decimal"
              autoComplete="off"
              maxLength={12}
              value={draft.yuan}
              onChange={({ target }) => type('yuan')(target.value)}
              data-testid="packet-yuan"
            />
          )}
        </Field>
        <Field
          label="人数（1 人；3 人以上为裂变红包，随机分）"
          wrong={wrong.people}
          testid="packet-people-wrong"
        >
          {(props) => (
            <Input
              {...props}
              inputMode="numeric"
              autoComplete="off"
              maxLength={2}
              value={draft.people}
              onChange={({ target }) => type('people')(target.value)}
              data-testid="packet-people"
            />
          )}
        </Field>
        <Field label="活动名称" wrong={wrong.act_name} testid="packet-act-wrong">
          {(props) => (
            <Input
              {...props}
              autoComplete="off"
              maxLength={10}
              value={draft.act_name}
              onChange={({ target }) => type('act_name')(target.value)}
              data-testid="packet-act"
            />
          )}
        </Field>
        <Field label="祝福语" wrong={wrong.wishing} testid="packet-wishing-wrong">
          {(props) => (
            <Input
              {...props}
              autoComplete="off"
              maxLength={40}
              value={draft.wishing}
              onChange={({ target }) => type('wishing')(target.value)}
              data-testid="packet-wishing"
            />
          )}
        </Field>
        <div>
          <Button type="primary" htmlType="submit" data-testid="packet-next">
            下一步
          </Button>
        </div>
      </form>
      <Dialog
        title="确认发红包"
        open={asking}
        onClose={() => {
          // A wish whose outcome nobody knows stays as it is, to be tried again.
          if (!unknown && !busy) setWish(undefined);
        }}
      >
        <div role="alert">{notice}</div>
        {wish === undefined ? null : (
          <div className="dialog-body">
            <p className="repeat">
              将发出 <strong data-testid="packet-repeat">{formatFen(wish.total_fen)}</strong>
              {wish.total_num === 1 ? '，一个人' : `，${wish.total_num} 个人随机分`}
            </p>
            <dl className="facts facts-narrow">
              <div>
                <dt>发给</dt>
                <dd className="code">{wish.order_no ?? wish.openid}</dd>
              </div>
              <div>
                <dt>活动</dt>
                <dd>{wish.act_name}</dd>
              </div>
              <div>
                <dt>祝福语</dt>
                <dd>{wish.wishing}</dd>
              </div>
            </dl>
            <ul className="limits">
              <li>红包发出后不能收回；24 小时没有领取会退回商户账户。</li>
            </ul>
            <div className="dialog-foot">
              <Button onClick={() => setWish(undefined)} disabled={busy || unknown}>
                返回修改
              </Button>
              <Button
                ref={confirm}
                type="primary"
                loading={busy}
                onClick={() => void submit()}
                data-testid="packet-submit"
              >
                {unknown ? '再试一次（同一个）' : `发 ${formatFen(wish.total_fen)}`}
              </Button>
            </div>
          </div>
        )}
      </Dialog>
    </section>
  );
}
