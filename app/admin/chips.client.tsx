'use client';
/** States as chips: word, sign and colour together, so that none of the three is needed alone. */
import {
  CheckCircleOutlined,
  ClockCircleOutlined,
  CloseCircleOutlined,
  ExclamationCircleOutlined,
  LoadingOutlined,
  MinusCircleOutlined,
  SyncOutlined,
  UndoOutlined,
} from '@ant-design/icons';
import { Tag } from 'antd';
import type { ComponentType } from 'react';
import { formatFen } from '../../lib/money.ts';
import {
  type HeldRefundState,
  type HeldTradeState,
  isPartlyRefunded,
  type OrderState,
  orderLabel,
  refundStateLabels,
  tradeLabel,
  tradeStateLabels,
} from '../../lib/states.ts';

type Colour = 'success' | 'processing' | 'warning' | 'error' | 'default';

interface ChipLook {
  colour: Colour;
  Icon: ComponentType;
}

const looks: Record<HeldTradeState, ChipLook> = {
  NOTPAY: { colour: 'warning', Icon: ClockCircleOutlined },
  USERPAYING: { colour: 'processing', Icon: LoadingOutlined },
  SUCCESS: { colour: 'success', Icon: CheckCircleOutlined },
  REFUND: { colour: 'processing', Icon: UndoOutlined },
  CLOSED: { colour: 'default', Icon: MinusCircleOutlined },
  REVOKED: { colour: 'default', Icon: UndoOutlined },
  PAYERROR: { colour: 'error', Icon: CloseCircleOutlined },
};

function Chip({ state, text, testid }: { state: HeldTradeState; text: string; testid?: string }) {
  const { colour, Icon } = looks[state];
  return (
    <Tag color={colour} icon={<Icon />} className="chip" data-testid={testid} data-state={state}>
      {text}
    </Tag>
  );
}

/** Where only part went back the sum stands with the word; `narrow` puts it on a line of its own. */
export function OrderChip({
  state,
  total_fen,
  refunded_fen,
  narrow = false,
}: {
  state: OrderState;
  total_fen: number;
  refunded_fen: number;
  narrow?: boolean;
}) {
  const { zh } = orderLabel(state, total_fen, refunded_fen);
  const sum = isPartlyRefunded(state, total_fen, refunded_fen) ? formatFen(refunded_fen) : undefined;
  return (
    <>
      <Chip state={state} text={narrow || sum === undefined ? zh : `${zh} ${sum}`} testid="order-state" />
      {narrow && sum !== undefined ? <small className="below">已退 {sum}</small> : null}
    </>
  );
}

/** A trade's state, ours or WeChat's; WeChat may use a word that we never hold. */
export function TradeChip({
  state,
  total_fen = 0,
  refunded_fen = 0,
}: {
  state: string;
  total_fen?: number;
  refunded_fen?: number;
}) {
  if (!isHeld(state)) return <Tag className="chip">{state === 'unknown' ? '没有问到' : state}</Tag>;
  return <Chip state={state} text={tradeLabel(state, total_fen, refunded_fen).zh} />;
}

function isHeld(state: string): state is HeldTradeState {
  return Object.hasOwn(tradeStateLabels, state);
}

const refundLooks: Record<HeldRefundState, ChipLook> = {
  REQUESTED: { colour: 'warning', Icon: ClockCircleOutlined },
  PROCESSING: { colour: 'processing', Icon: SyncOutlined },
  SUCCESS: { colour: 'success', Icon: CheckCircleOutlined },
  CLOSED: { colour: 'default', Icon: MinusCircleOutlined },
  ABNORMAL: { colour: 'error', Icon: ExclamationCircleOutlined },
  REFUSED: { colour: 'error', Icon: CloseCircleOutlined },
};

export function RefundChip({ state }: { state: HeldRefundState }) {
  const { colour, Icon } = refundLooks[state];
  return (
    <Tag color={colour} icon={<Icon />} className="chip" data-testid="refund-state" data-state={state}>
      {refundStateLabels[state].zh}
    </Tag>
  );
}

export function SurplusChip({ fen }: { fen: number }) {
  return (
    <Tag color="error" icon={<ExclamationCircleOutlined />} className="chip">
      多收 {formatFen(fen)}
    </Tag>
  );
}
