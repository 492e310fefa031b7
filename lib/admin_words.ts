/**
 * The console's Chinese for what rows say in code words: event kinds, sources, verdicts, field names. Tables only; a
 * kind or a verdict that is missing here does not compile.
 */
import type { AccountCall } from './account_faults.ts';
import type { AuditAction } from './admin_audit.ts';
import type { DayLook, EvidenceField } from './admin_statements.ts';
import type { EventKind, EventSource } from './events.ts';
import type { FundFlowState } from './fund_flow.ts';
import type { DifferenceKind } from './statement_compare.ts';
import type { SettleVerdict } from './states.ts';
import type { NotificationVerdict } from './wechat/index.ts';

export type Tone = 'good' | 'bad' | 'waiting' | 'plain';

export const eventWords: Record<EventKind, { title: string; tone: Tone }> = {
  order_created: { title: '下单', tone: 'plain' },
  order_claimed: { title: '由微信账号认领', tone: 'plain' },
  order_closed: { title: '订单关闭', tone: 'plain' },
  order_served: { title: '已交付', tone: 'good' },
  trade_created: { title: '发起一笔支付', tone: 'plain' },
  trade_closed: { title: '支付单关闭', tone: 'plain' },
  unified_order: { title: '向微信下单', tone: 'waiting' },
  query: { title: '向微信查询', tone: 'waiting' },
  close: { title: '请微信关单', tone: 'waiting' },
  charge: { title: '提交付款码或刷脸', tone: 'waiting' },
  payer_asked: { title: '等待顾客输入密码', tone: 'waiting' },
  reverse: { title: '请微信撤销', tone: 'waiting' },
  bridge_result: { title: '顾客微信返回', tone: 'plain' },
  paid: { title: '已支付入账', tone: 'good' },
  paid_late: { title: '关闭后到账（多收款）', tone: 'bad' },
  paid_twice: { title: '重复支付（多收款）', tone: 'bad' },
  refund_requested: { title: '申请退款', tone: 'plain' },
  refund_sent: { title: '向微信提交退款', tone: 'waiting' },
  refund_query: { title: '向微信查询退款', tone: 'waiting' },
  refund_moved: { title: '退款状态变化', tone: 'plain' },
  refund_refused: { title: '微信拒绝退款', tone: 'bad' },
  message_sent: { title: '给顾客发了消息', tone: 'plain' },
  message_delivered: { title: '消息已送达顾客', tone: 'plain' },
  message_refused: { title: '消息没有发成', tone: 'bad' },
  message_unknown: { title: '消息结果未知', tone: 'waiting' },
};

export const sourceWords: Record<EventSource, string> = {
  shopper: '顾客',
  worker: '后台任务',
  operator: '操作员',
  notification: '微信通知',
  query: '主动查询',
  bill: '对账单',
};

export const settleWords: Record<SettleVerdict, { text: string; tone: Tone }> = {
  applied: { text: '验签通过，与订单一致，已据此入账', tone: 'good' },
  already: { text: '此前已入账，本次没有改变任何内容', tone: 'plain' },
  mismatch: { text: '与我方记录不一致，未采信', tone: 'bad' },
  unknown_order: { text: '我方没有这个单号，未采信', tone: 'bad' },
  not_final: { text: '尚无定论，继续等待', tone: 'waiting' },
};

export const refusalWords: Record<NotificationVerdict, { text: string; tone: Tone }> = {
  malformed: { text: '报文格式有误，未采信', tone: 'bad' },
  bad_signature: { text: '签名不符，未采信', tone: 'bad' },
  stale: { text: '时间戳过旧，可能是重放，未采信', tone: 'bad' },
  unknown_serial: { text: '签名证书不认识，未采信', tone: 'bad' },
  undecryptable: { text: '无法解密，未采信', tone: 'bad' },
  probe: { text: '微信的验签探测，按规定拒绝', tone: 'plain' },
  not_success: { text: '不是支付成功的消息，未采信', tone: 'plain' },
};

/** Names of the fields in which evidence can differ from our row, as `settle` writes them. */
const fieldWords: Record<string, string> = {
  appid: '公众号 appid',
  mch_id: '商户号',
  sub_mch_id: '子商户号',
  sign_type: '签名算法',
  trade_type: '支付方式',
  total_fee: '金额',
  cash_fee: '实付金额',
  fee_type: '币种',
  openid: '付款人',
  transaction_id: '微信单号',
  time_end: '支付时间',
};

export function fieldsInWords(names: readonly string[]): string {
  return names.map((name) => fieldWords[name] ?? name).join('、');
}

const accountCallWords: Record<Exclude<AccountCall, `place ${string}`>, string> = {
  access_token: '取 access_token',
  jsapi_ticket: '取 jsapi_ticket（JS-SDK）',
  oauth: '网页授权（顾客登录）',
  message: '给顾客发消息',
  mini: '小程序登录',
  pay_page: '顾客的付款页',
  js_page: '顾客页面上的 JS-SDK',
};

/** Which call of WeChat's did not work. */
export function accountCallInWords(call: AccountCall): string {
  if (Object.hasOwn(accountCallWords, call)) return accountCallWords[call as keyof typeof accountCallWords];
  return `下单（${call.replace(/^place /, '')}）`;
}

/** Who wished a refund. */
export const originWords: Record<string, string> = {
  operator: '操作员发起',
  surplus: '多收款自动退还',
  console: '在微信商户平台发起',
};

export const surplusWords: Record<string, string> = { late: '关闭后到账', double: '重复支付' };

/** How our books and the bill disagree, and what an operator does about it. */
export const differenceWords: Record<DifferenceKind, { title: string; hint: string }> = {
  missing_here: {
    title: '我方没有这笔收款',
    hint: '账单里有、我方没有记录的单号：可能是别的系统用同一商户号收的款，或数据库恢复时丢了订单。',
  },
  missing_there: {
    title: '账单没有这笔收款',
    hint: '我方已入账、当天账单没有：零点前后的付款可能在相邻一天的账单里，对过那天会自动消除；否则请到订单页再查询。',
  },
  amount: { title: '收款金额不同', hint: '同一单号金额不一样：不要交付，请联系微信支付核实。' },
  state: { title: '收款状态或微信单号不同', hint: '请到订单页再查询一次，再重新核对这一天。' },
  refund: {
    title: '退款不符',
    hint: '金额、状态或微信退款单号不同，或只有一边有：在商户平台手工退的款会在下次核对时收进来。',
  },
  fee: { title: '手续费与费率不符', hint: '手续费和“金额 × 费率”相差超过半分：请在商户平台核对签约费率。' },
  foreign: { title: '别的商户号的账', hint: '这一行不属于我方商户号：请核对商户号配置。' },
  flow: {
    title: '资金账单与交易账单不符',
    hint: '同一天资金账单的合计和交易账单对不上：请在商户平台核对当天的资金流水，必要时联系微信支付。',
  },
  repeated: { title: '账单中重复出现', hint: '同一单号在账单里出现多次：请联系微信支付核实是否重复扣款。' },
};

export const evidenceWords: Record<EvidenceField, string> = {
  amount: '金额',
  state: '状态',
  wechat_number: '微信单号',
  at: '时间',
  fee: '手续费',
  rate: '费率',
  mch_id: '商户号',
  appid: 'appid',
  flow: '合计',
};

export const dayLookWords: Record<DayLook, string> = {
  equal: '相符',
  different: '有差异',
  empty: '当天无账单',
  waiting: '等账单',
  refused: '账单未采信',
  none: '未核对',
  early: '账单未出',
};

export const flowStateWords: Record<FundFlowState, string> = {
  COMPARED: '已与交易账单核对',
  NOT_COMPARED: '服务商的资金账单不含特约商户的钱，只留存，不核对。',
  EMPTY: '当天没有资金流水',
  WAITING: '等资金账单',
  UNAVAILABLE: '取不到资金账单',
  REFUSED: '资金账单未采信',
};

/** Why a bill was not read, as a statement keeps it; what has no words of ours stays as it is. */
export function problemInWords(problem: string): string {
  if (problem === 'WeChat is still making the bill') return '微信还在生成账单，稍后系统会自动再取。';
  if (problem === 'WeChat is still making the fund flow') return '微信还在生成资金账单，稍后系统会自动再取。';
  if (problem === 'WeChat now says there is no bill; the one kept before stands')
    return '微信现在说这一天没有账单；以先前留存的账单为准。';
  if (problem === 'WeChat now says there is no bill; what it sent before was none')
    return '微信现在说这一天没有账单；先前发来的文件不是账单。';
  const columns = /^unknown columns: (.*)$/.exec(problem)?.[1];
  if (columns !== undefined) return `账单有不认识的列（不影响核对）：${columns}`;
  const [, code, message] = /^([A-Z0-9_]+): (.*)$/s.exec(problem) ?? [];
  return code === undefined ? problem : `微信应答 ${code}：${message}`;
}

/** How a later bill put a difference right, as the comparison writes it; an operator's note stays as it is. */
export function resolutionInWords(resolution: string): string {
  if (resolution === 'no longer there when the day was compared again') return '重新核对这一天时已不存在';
  const date = /^found in the bill of (\d{4}-\d{2}-\d{2})$/.exec(resolution)?.[1];
  return date === undefined ? resolution : `在 ${date} 的账单里找到了`;
}

export const auditWords: Record<AuditAction, string> = {
  refund: '退款',
  refund_refused: '退款被拒',
  refund_abnormal: '异常退款改退',
  refund_abnormal_refused: '异常退款改退被拒',
  close: '关闭订单',
  close_refused: '关闭被拒',
  requery: '再查询',
  statement: '核对账单',
  statement_refused: '核对被拒',
  difference_explained: '说明差异',
  charge: '柜台收款',
  charge_refused: '收款被拒',
  reverse: '撤销收款',
  reverse_refused: '撤销被拒',
  face_auth: '刷脸设备授权',
  red_packet: '发红包',
  red_packet_refused: '发红包被拒',
};

const bridgeWords: Record<string, string> = {
  ok: '顾客端提示支付成功（只作参考，以微信查询和通知为准）',
  cancel: '顾客取消了支付',
  fail: '顾客端提示支付失败',
};

/** `get_brand_wcpay_request:ok` in words; WeChat's own text follows where it says more. */
export function bridgeInWords(err_msg: string): string {
  const [, word = '', rest = ''] = /^[\w.]+:(\w+)(.*)$/s.exec(err_msg) ?? [];
  const known = bridgeWords[word];
  if (known === undefined) return err_msg;
  return rest.trim() === '' ? known : `${known}：${rest.trim().replace(/^[:：]/, '')}`;
}
