/** A charge as the counter's browser code holds it, and its standings in words. What counts is decided by the server. */

export type Standing = 'confirming' | 'waiting' | 'reversing' | 'paid' | 'refused' | 'reversed' | 'closed';

export interface ChargeView {
  out_trade_no: string;
  order_no: string;
  title: string;
  total_fen: number;
  trade_type: string;
  /** Whose money it is, where there are several sellers. */
  seller: string | null;
  standing: Standing;
  refused: { code: string; zh: string; en: string } | null;
  wait_ms: number;
  wait_left_ms: number;
  reversible_in_ms: number;
  transaction_id: string | null;
  /** When to ask again; null at an end. */
  next_poll_ms: number | null;
}

export type Tone = 'good' | 'bad' | 'waiting' | 'plain';

export const standingWords: Record<Standing, { title: string; text: string; tone: Tone }> = {
  confirming: {
    title: '正在确认',
    text: '微信还没有给出结果，系统每 5 秒查询一次。请不要重复收款。',
    tone: 'waiting',
  },
  waiting: {
    title: '请顾客输入支付密码',
    text: '顾客的手机上正在等待密码，付好后这里会自动变成收款成功。',
    tone: 'waiting',
  },
  reversing: {
    title: '正在撤销',
    text: '等待时间内没有付款成功，正在请微信撤销；如果顾客已被扣款，会原路退回。',
    tone: 'waiting',
  },
  paid: { title: '收款成功', text: '', tone: 'good' },
  refused: { title: '没有收到款', text: '', tone: 'bad' },
  reversed: {
    title: '已撤销，没有收款',
    text: '这笔付款已作废；如果顾客曾被扣款，微信已原路退回。可以重新收款。',
    tone: 'plain',
  },
  closed: {
    title: '没有收款',
    text: '微信没有收到这笔付款，单号已作废。可以重新收款。',
    tone: 'plain',
  },
};
