/** What became of a refund, and why one is refused, as an operator should hear it. Tables only; browser code reads them. */
import { type HeldRefundState, refundStateLabels } from '../../lib/states.ts';

/** WeChat's refusals that operators meet, v2's and v3's spelling (refund, err_code table); what to do about each. */
const codeWords: Record<string, string> = {
  NOTENOUGH: '商户可用余额不足，请充值',
  NOT_ENOUGH: '商户可用余额不足，请充值',
  USER_ACCOUNT_ABNORMAL: '顾客的微信账户异常，请线下退款',
  TRADE_OVERDUE: '订单超过微信允许的退款期限',
  ERROR: '业务错误，请核对后重试',
  REFUND_FEE_MISMATCH: '同一退款单号的金额与先前不同',
  INVALID_TRANSACTIONID: '微信单号无效',
  ORDERNOTEXIST: '微信没有这笔订单',
  RESOURCE_NOT_EXISTS: '微信没有这笔订单',
  NOAUTH: '商户没有退款权限',
  NO_AUTH: '商户没有退款权限',
  NO_CERTIFICATE: '没有配置商户证书，请联系技术人员',
  CERT_ERROR: '商户证书有误，请联系技术人员',
  CA_ERROR: '商户证书有误，请联系技术人员',
  SIGNERROR: '签名有误，请检查密钥',
  SIGN_ERROR: '签名有误，请检查密钥',
  FREQUENCY_LIMITED: '请求太频繁，稍后自动再提交',
  FREQUENCY_LIMIT_EXCEED: '请求太频繁，稍后自动再提交',
  RATELIMIT_EXCEEDED: '请求太频繁，稍后自动再提交',
  INVALID_REQ_TOO_MUCH: '无效请求太多，稍后自动再提交',
  BIZERR_NEED_RETRY: '微信请稍后重试，会自动再提交',
  ORDER_NOT_READY: '订单正在处理，会自动再提交',
};

/** `NOTENOUGH（商户可用余额不足，请充值）`; a code we have no words for stays alone. */
export function codeInWords(code: string): string {
  return Object.hasOwn(codeWords, code) ? `${code}（${codeWords[code]}）` : code;
}

export interface Told {
  type: 'success' | 'info' | 'warning' | 'error';
  title: string;
  description?: string;
}

/** A refund as it stands right after it was asked for. */
export function refundInWords(state: HeldRefundState, refused_code: string | null): Told {
  const title = refundStateLabels[state].zh;
  const code = refused_code === null ? '' : codeInWords(refused_code);
  switch (state) {
    case 'REQUESTED':
      return code === ''
        ? { type: 'info', title: '已登记，微信还没有给出结果', description: '系统会用同一退款单号继续提交。' }
        : {
            type: 'warning',
            title: '已登记，微信暂时没有受理',
            description: `${code}。会用同一退款单号再提交。`,
          };
    case 'PROCESSING':
      return {
        type: 'success',
        title: '微信已受理，处理中',
        description: '系统会跟到到账为止，这一页会自动更新。',
      };
    case 'SUCCESS':
      return { type: 'success', title };
    case 'ABNORMAL':
      return {
        type: 'error',
        title,
        description: '钱没有退到顾客账户，可改退到银行卡；v2 的退款请到微信商户平台的“交易中心”处理。',
      };
    case 'CLOSED':
      return { type: 'warning', title, description: '这笔退款没有发生，钱仍在商户账户，可以重新发起。' };
    case 'REFUSED':
      return { type: 'error', title: '微信拒绝了退款', description: `${code}。没有退出任何钱，金额已释放。` };
  }
}

/** Why no refund of a trade is possible now, by our own code. */
export const blockedWords: Record<string, string> = {
  refund_not_paid: '没有支付，不能退款',
  refund_too_old: '支付已满一年，微信不再受理退款',
  refund_too_many: '已退满 50 次，达到微信的上限',
  refund_too_much: '已全部退还或正在退还',
};

/** Our own refusal of a submitted refund. */
export function refusalInWords(code: string | undefined, message: string): string {
  switch (code) {
    case 'refund_too_much':
      return '超过可退金额：可能刚有别的退款。页面已更新，请核对后再退。';
    case 'refund_key_reused':
      return '上一次提交其实已经登记（见下方退款记录），这一次没有再退。请核对后重新发起。';
    case 'bad_request':
      return '内容有误：金额须为正整数分，原因 1–26 个字。';
    case 'not_found':
      return '这个订单没有这笔支付。';
    default:
      return (code === undefined ? undefined : blockedWords[code]) ?? message;
  }
}
