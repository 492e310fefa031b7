'use client';
/**
 * Sending an abnormal refund to a bank card: where to, then the same once more to be confirmed, then one request. Card
 * number and name live only in the open dialog.
 */
import { Alert, Button, Input } from 'antd';
import { useRouter } from 'next/navigation';
import { type FormEvent, useId, useState, useTransition } from 'react';
import { formatFen } from '../../../lib/money.ts';
import { type HeldRefundState, refundStateLabels } from '../../../lib/states.ts';
import { type Answer, ask, leaveIfSignedOut } from '../ask.client.ts';
import { Dialog } from '../dialog.client.tsx';
import { codeInWords, type Told } from '../refund_words.ts';

interface Outcome {
  state: HeldRefundState;
  outcome: 'accepted' | 'refused' | 'unknown';
  refused_code: string | null;
}

interface Draft {
  type: 'USER_BANK_CARD' | 'MERCHANT_BANK_CARD';
  bank_type: string;
  bank_account: string;
  real_name: string;
}

/** Names of the banks whose cards take it, by WeChat's word. */
type Banks = Readonly<Record<string, string>>;

const blank: Draft = { type: 'USER_BANK_CARD', bank_type: 'CMB_DEBIT', bank_account: '', real_name: '' };

export function Abnormal({
  refund,
  banks,
}: {
  refund: { out_refund_no: string; order_no: string; refund_fen: number };
  banks: Banks;
}) {
  const router = useRouter();
  const [open, setOpen] = useState(false);
  const [draft, setDraft] = useState(blank);
  const [sure, setSure] = useState(false);
  const [wrong, setWrong] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState<Told>();
  const [pending, start] = useTransition();

  function leave(): void {
    setOpen(false);
    setDraft(blank);
    setSure(false);
    setWrong(undefined);
  }

  function next(event: FormEvent): void {
    event.preventDefault();
    const found = whatIsWrong(draft);
    setWrong(found);
    setSure(found === undefined);
  }

  async function submit(): Promise<void> {
    setBusy(true);
    const { type, ...card } = draft;
    const answer = await ask<Outcome>(`/api/admin/orders/${refund.order_no}/refund/abnormal`, {
      type,
      out_refund_no: refund.out_refund_no,
      ...(type === 'USER_BANK_CARD' ? card : {}),
    });
    setBusy(false);
    if (leaveIfSignedOut(answer)) return;
    leave();
    setTold(inWords(answer));
    start(() => router.refresh());
  }

  return (
    <span className="action">
      <Button
        size="small"
        danger
        loading={pending}
        onClick={() => {
          setTold(undefined);
          setOpen(true);
        }}
        data-testid="abnormal-open"
      >
        改退到银行卡
      </Button>
      <span role="status" aria-live="polite" className="action-told" data-testid="abnormal-result">
        {told === undefined ? null : <Alert showIcon {...told} />}
      </span>
      <Dialog title={sure ? '确认改退' : '改退到银行卡'} open={open} onClose={leave}>
        {sure ? (
          <Confirm
            draft={draft}
            banks={banks}
            fen={refund.refund_fen}
            busy={busy}
            onBack={() => setSure(false)}
            onConfirm={() => void submit()}
          />
        ) : (
          <Choose
            draft={draft}
            banks={banks}
            wrong={wrong}
            onDraft={setDraft}
            onNext={next}
            onCancel={leave}
          />
        )}
      </Dialog>
    </span>
  );
}

function whatIsWrong({ type, bank_account, real_name }: Draft): string | undefined {
  if (type === 'MERCHANT_BANK_CARD') return undefined;
  if (!/^\d{12,24}$/.test(bank_account.replace(/[ -]/g, ''))) return '卡号须为 12 至 24 位数字';
  return real_name.trim() === '' ? '请填写持卡人姓名' : undefined;
}

function Choose({
  draft,
  banks,
  wrong,
  onDraft,
  onNext,
  onCancel,
}: {
  draft: Draft;
  banks: Banks;
  wrong: string | undefined;
  onDraft: (draft: Draft) => void;
  onNext: (event: FormEvent) => void;
  onCancel: () => void;
}) {
  const id = useId();
  return (
    <form className="dialog-body" onSubmit={onNext} noValidate data-testid="abnormal-ask">
      <fieldset className="choice-group">
        <legend>退到哪里</legend>
        {(['USER_BANK_CARD', 'MERCHANT_BANK_CARD'] as const).map((type) => (
          <label key={type}>
            <input
              type="radio"
              name={`${id}-type`}
              checked={draft.type === type}
              onChange={() => onDraft({ ...draft, type })}
              data-testid={`abnormal-${type}`}
            />{' '}
            {cardWords[type]}
          </label>
        ))}
      </fieldset>
      {draft.type === 'MERCHANT_BANK_CARD' ? (
        <p className="none">钱退回商户的结算银行卡，请再线下退给顾客。</p>
      ) : (
        <>
          <label htmlFor={`${id}-bank`}>开户银行（仅借记卡）</label>
          <select
            id={`${id}-bank`}
            value={draft.bank_type}
            onChange={({ target }) => onDraft({ ...draft, bank_type: target.value })}
            data-testid="abnormal-bank"
          >
            {Object.entries(banks).map(([bank, name]) => (
              <option key={bank} value={bank}>
                {name}
              </option>
            ))}
          </select>
          <label htmlFor={`${id}-account`}>卡号</label>
          <Input
            id={`${id}-account`}
            inputMode="numeric"
            autoComplete="off"
            maxLength={30}
            value={draft.bank_account}
            onChange={({ target }) => onDraft({ ...draft, bank_account: target.value })}
            data-testid="abnormal-account"
          />
          <label htmlFor={`${id}-name`}>持卡人姓名</label>
          <Input
            id={`${id}-name`}
            autoComplete="off"
            maxLength={64}
            value={draft.real_name}
            onChange={({ target }) => onDraft({ ...draft, real_name: target.value })}
            data-testid="abnormal-name"
          />
          <p className="none">卡号和姓名加密后交给微信，这里不保存，记录里只留卡号末四位。</p>
        </>
      )}
      <div role="alert" className="bad" data-testid="abnormal-wrong">
        {wrong}
      </div>
      <div className="dialog-foot">
        <Button onClick={onCancel}>取消</Button>
        <Button type="primary" htmlType="submit" data-testid="abnormal-next">
          下一步
        </Button>
      </div>
    </form>
  );
}

function Confirm({
  draft,
  banks,
  fen,
  busy,
  onBack,
  onConfirm,
}: {
  draft: Draft;
  banks: Banks;
  fen: number;
  busy: boolean;
  onBack: () => void;
  onConfirm: () => void;
}) {
  const digits = draft.bank_account.replace(/[ -]/g, '');
  return (
    <div className="dialog-body" data-testid="abnormal-confirm">
      <p className="repeat">
        将把 <strong>{formatFen(fen)}</strong>{' '}
        {draft.type === 'MERCHANT_BANK_CARD'
          ? '退回商户的结算银行卡'
          : `退到 ${draft.real_name.trim()} 的${banks[draft.bank_type] ?? draft.bank_type}借记卡，卡号 ${digits}`}
        。微信受理后不能撤回。
      </p>
      <div className="dialog-foot">
        <Button onClick={onBack} disabled={busy}>
          上一步
        </Button>
        <Button type="primary" danger loading={busy} onClick={onConfirm} data-testid="abnormal-submit">
          确认改退
        </Button>
      </div>
    </div>
  );
}

const cardWords = { USER_BANK_CARD: '顾客的银行卡', MERCHANT_BANK_CARD: '商户的结算银行卡' } as const;

function inWords(answer: Answer<Outcome>): Told {
  if (!answer.ok) return { type: 'error', title: answer.message };
  const { outcome, refused_code, state } = answer.body;
  if (outcome === 'accepted') {
    return { type: 'success', title: '微信已受理', description: `退款：${refundStateLabels[state].zh}` };
  }
  if (outcome === 'refused') {
    return { type: 'error', title: '微信拒绝了改退', description: codeInWords(refused_code ?? '') };
  }
  return {
    type: 'warning',
    title: '没有收到微信的结果',
    description: '系统会继续查询；再试一次会先问微信，不会退两次。',
  };
}
