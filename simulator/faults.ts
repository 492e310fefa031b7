// The one table of faults: a name each, what it does, its parameters. A fault is armed through the control door,
// may be limited in number, to one path or to one order, and is counted when it strikes. It refuses names and
// parameters it does not know.

export type FaultKind = 'call' | 'notify';

export type FaultDefinition = {
  kind: FaultKind;
  /** The only door it makes sense at, when there is one. */
  door?: string;
  zh: string;
  en: string;
  /** Own parameters with their defaults; every fault also takes times, path, out_trade_no. */
  parameters: Record<string, number | string | boolean>;
  /** The parameter a bare number stands for. */
  number_means: string;
};

export const FAULTS: Record<string, FaultDefinition> = {
  line_cut: call('请求未处理，连接断开', 'The line is cut before the request is processed.'),
  answer_lost: call('已处理，但应答丢失', 'The request is processed, then the line is cut: no answer.'),
  answer_slow: {
    ...call('应答延迟', 'The request is processed, the answer comes delay_ms later.'),
    parameters: { delay_ms: 3000 },
    number_means: 'delay_ms',
  },
  answer_truncated: call('应答只到一半', 'Half of the answer arrives, then the line is cut.'),
  answer_bad_signature: call('应答签名错误', 'The answer carries a wrong signature.'),
  http_502: {
    ...call('网关 502 页面', 'A 502 page in HTML; the request is processed only with done:true.'),
    parameters: { done: false },
  },
  system_error: call('系统错误（未处理）', 'SYSTEMERROR, and nothing was done.'),
  system_error_done: call('系统错误（其实已处理）', 'SYSTEMERROR, although the request was carried out.'),
  notify_before_answer: {
    ...call(
      '下单应答之前已支付并通知',
      'The order is paid and notified while the order answer is still held back (then hold_ms more).',
    ),
    door: '/pay/unifiedorder',
    parameters: { openid: '', hold_ms: 0 },
    number_means: 'hold_ms',
  },
  query_stale: {
    ...call('查询滞后：已支付仍答 NOTPAY', 'A paid order is still reported as NOTPAY.'),
    door: '/pay/orderquery',
  },
  close_order_paid: {
    ...call(
      '关单时用户刚好付款',
      'The payer pays just before the close, which answers ORDERPAID; pay:false only says so.',
    ),
    door: '/pay/closeorder',
    parameters: { pay: true, openid: '' },
  },
  close_slow: {
    ...call('关单缓慢', 'The close waits delay_ms before it is carried out.'),
    door: '/pay/closeorder',
    parameters: { delay_ms: 3000 },
    number_means: 'delay_ms',
  },
  close_then_paid: {
    ...call(
      '关单成功后又付款成功',
      'The close answers SUCCESS, yet a payer already at the password panel still pays.',
    ),
    door: '/pay/closeorder',
    parameters: { openid: '' },
  },
  userpaying: call('付款码要求输入密码', 'A charge at a counter asks for the password, whatever the amount.'),
  userpaying_forever: call(
    '付款码一直支付中',
    'A charge at a counter asks for the password, and the prompt never ends; only a reversal does.',
  ),
  redpack_freq_limit: call('红包频率超限', 'A red packet is refused: FREQ_LIMIT, nothing was sent.'),
  redpack_processing: call('红包处理中', 'PROCESSING is answered, although the red packet is sent.'),
  redpack_failed: call('红包发放失败', 'A red packet is accepted and ends as FAILED; the money is back.'),
  redpack_sending: {
    ...call('红包发放缓慢', 'An accepted red packet is SENDING for delay_s on the platform clock.'),
    parameters: { delay_s: 600 },
    number_means: 'delay_s',
  },
  bank_error: {
    ...call('银行系统异常', 'A charge at a counter answers BANKERROR; paid all the same with done:true.'),
    parameters: { done: false },
  },
  reverse_recall: {
    ...call('撤销要求重试', 'A reversal answers SYSTEMERROR with recall Y; carried out only with done:true.'),
    parameters: { done: false },
  },
  h5_other_ip: {
    ...call('H5 网关认为 IP 变了', "The H5 gate sees another address than the order's, and refuses."),
    door: '/cgi-bin/mmpayweb-bin/checkmweb',
  },
  answer_probe: call(
    '签名探测应答',
    'The answer carries a deliberately wrong signature, WECHATPAY/SIGNTEST/… (API v3).',
  ),
  answer_unsigned: call('应答没有签名', 'The answer carries no Wechatpay headers (API v3).'),
  answer_wrong_serial: call('应答证书序列号未知', 'The answer names a serial nobody was given (API v3).'),
  answer_stale: {
    ...call('应答时间过旧', 'The answer is signed with a time age_s ago (API v3).'),
    parameters: { age_s: 600 },
    number_means: 'age_s',
  },
  answer_tampered: call('应答内容被改', 'One character of the body is changed after it was signed (API v3).'),
  frequency_limited: call('频率超限', 'HTTP 429 FREQUENCY_LIMITED, nothing was done (API v3).'),
  refund_not_enough: call(
    '退款余额不足',
    'A refund is refused for want of money: NOTENOUGH, nothing was started.',
  ),
  refund_need_retry: call('退款需要重试', 'A refund is refused: BIZERR_NEED_RETRY, nothing was started.'),
  refund_account_abnormal: call('用户账号注销', "A refund is refused: the payer's account is gone."),
  refund_slow: {
    ...call('退款缓慢', 'An accepted refund is under way for delay_s on the platform clock.'),
    parameters: { delay_s: 86400 },
    number_means: 'delay_s',
  },
  refund_abnormal: call('退款异常', 'An accepted refund ends as ABNORMAL, which v2 calls CHANGE.'),
  refund_closed: call('退款关闭', 'An accepted refund ends as CLOSED, which v2 calls REFUNDCLOSE.'),
  refund_query_stale: call('退款查询滞后', 'A refund that has ended is still reported as PROCESSING.'),
  bill_creating: call('账单生成中', 'The bill is said to be still in the making.'),
  bill_truncated: call('账单不完整', 'The file ends in the middle of a row, with nothing to show for it.'),
  bill_html: call('账单变成网页', 'An HTML page comes with status 200 in place of the bill.'),
  bill_gzip_damaged: call('账单压缩损坏', 'The gzip stream is damaged in the middle.'),
  bill_other_amount: {
    ...call('账单金额不符', 'One row has another amount; the summary fits it.'),
    parameters: { delta_fen: 1 },
    number_means: 'delta_fen',
  },
  bill_row_missing: call('账单少一行', 'One row is missing; the summary fits.'),
  bill_row_extra: {
    ...call('账单多一行', 'A row of an order nobody placed; the summary fits.'),
    parameters: { as: 'NOBODYPLACEDTHIS' },
  },
  bill_unknown_column: {
    ...call('账单多一列', 'A new column stands in the middle.'),
    parameters: { column: '新增列' },
  },
  bill_other_merchant: {
    ...call('账单含别家商户', "A row of another merchant's; the summary counts it."),
    parameters: { mch_id: '1900000999' },
  },
  bill_wrong_summary: {
    ...call('账单汇总不符', 'The summary counts one row more and delta_fen more.'),
    parameters: { delta_fen: 1 },
    number_means: 'delta_fen',
  },
  api_errcode: {
    ...call(
      '公众号接口返回错误码',
      "An official account's call is refused with this errcode, nothing was done.",
    ),
    parameters: { errcode: -1 },
    number_means: 'errcode',
  },
  notify_never: notify('从不通知', 'The notification is never sent (redeliver still sends it).'),
  notify_late: {
    ...notify('通知延迟', 'The first attempt comes delay_s later on the platform clock.'),
    parameters: { delay_s: 60 },
    number_means: 'delay_s',
  },
  notify_copies: {
    ...notify('同时通知多份', 'Each attempt is sent as this many copies at the same moment.'),
    parameters: { copies: 2 },
    number_means: 'copies',
  },
  notify_bad_signature: notify('通知签名错误', 'The notification carries a wrong signature.'),
  notify_no_signature: notify('通知没有签名', 'The notification carries no sign at all.'),
  notify_other_sign_type: notify(
    '通知换了签名类型',
    'Correctly signed, but with the sign type the order did not use.',
  ),
  notify_other_amount: {
    ...notify('通知金额不符', 'Correctly signed, total_fee differs by delta_fen.'),
    parameters: { delta_fen: 1 },
    number_means: 'delta_fen',
  },
  notify_other_merchant: {
    ...notify('通知商户号不符', 'Correctly signed, another mch_id.'),
    parameters: { mch_id: '1900000999' },
  },
  notify_other_appid: {
    ...notify('通知 appid 不符', 'Correctly signed, another appid.'),
    parameters: { appid: 'wx0000000000000000' },
  },
  notify_other_openid: {
    ...notify('通知付款人不符', 'Correctly signed, another openid.'),
    parameters: { openid: 'oSomebodyElse000000000000000' },
  },
  notify_unknown_order: {
    ...notify('通知未知订单', 'Correctly signed, an out_trade_no nobody placed.'),
    parameters: { as: 'NOBODYPLACEDTHIS' },
  },
  notify_extra_field: notify('通知含未知字段', 'Genuine, with a new field that takes part in the signature.'),
  notify_sign_type_present: notify('通知带 sign_type', 'Genuine, with a signed sign_type element.'),
  notify_doctype: notify('通知含 DOCTYPE', 'Correctly signed, with a DOCTYPE and an external entity.'),
  notify_probe: notify('签名探测通知', 'A deliberately wrong signature, WECHATPAY/SIGNTEST/… (API v3).'),
  notify_wrong_serial: notify(
    '通知证书序列号未知',
    'The notification names a serial nobody was given (API v3).',
  ),
  notify_stale: {
    ...notify('通知时间过旧', 'Signed with a time age_s ago (API v3).'),
    parameters: { age_s: 600 },
    number_means: 'age_s',
  },
  notify_tampered: notify('通知内容被改', 'The body is changed after it was signed (API v3).'),
  notify_other_key: notify('通知换了密钥', 'Well signed, but sealed under another key (API v3).'),
  notify_cut: notify('通知只发一半', 'Half of the body is sent, then the line is cut.'),
};

function call(zh: string, en: string): FaultDefinition {
  return { kind: 'call', zh, en, parameters: {}, number_means: 'times' };
}

function notify(zh: string, en: string): FaultDefinition {
  return { kind: 'notify', zh, en, parameters: {}, number_means: 'times' };
}

export type Armed = {
  /** null means until disarmed. */
  times: number | null;
  path: string;
  out_trade_no: string;
  parameters: Record<string, number | string | boolean>;
  hits: number;
};

/** A fault that struck: its parameters, every one present. */
export type Struck = {
  name: string;
  number(key: string): number;
  text(key: string): string;
  flag(key: string): boolean;
};

export type Where = { path: string; out_trade_no: string };

export class UnknownFault extends Error {}

export type Faults = ReturnType<typeof createFaults>;

/** `doors` are the paths whose last word may stand before a call fault's name: `unifiedorder_system_error`. */
export function createFaults(doors: () => string[]) {
  const armed = new Map<string, Armed>();

  function base(full: string): { name: string; path: string } {
    if (Object.hasOwn(FAULTS, full)) return { name: full, path: '' };
    for (const path of doors()) {
      const prefix = `${path.slice(path.lastIndexOf('/') + 1)}_`;
      const name = full.slice(prefix.length);
      if (full.startsWith(prefix) && Object.hasOwn(FAULTS, name) && FAULTS[name]?.kind === 'call') {
        return { name, path };
      }
    }
    throw new UnknownFault(
      `no fault is called ${full}; the names are ${Object.keys(FAULTS).join(', ')}; call faults may be prefixed with a door, as in unifiedorder_answer_lost`,
    );
  }

  function arm(full: string, how: unknown): void {
    const { name, path } = base(full);
    const definition = FAULTS[name];
    if (definition === undefined) throw new UnknownFault(full);
    if (how === false || how === null || how === 0) {
      armed.delete(full);
      return;
    }
    const given: Record<string, unknown> =
      how === true ? {} : typeof how === 'number' ? { [definition.number_means]: how } : asObject(full, how);
    const next: Armed = {
      times: null,
      path,
      out_trade_no: '',
      parameters: { ...definition.parameters },
      hits: 0,
    };
    for (const [key, value] of Object.entries(given)) {
      if (key === 'times' && (value === null || (Number.isInteger(value) && Number(value) > 0))) {
        next.times = value === null ? null : Number(value);
      } else if ((key === 'path' || key === 'out_trade_no') && typeof value === 'string') {
        next[key] = value;
      } else if (key in definition.parameters && typeof value === typeof definition.parameters[key]) {
        next.parameters[key] = value as number | string | boolean;
      } else {
        const known = ['times', 'path', 'out_trade_no', ...Object.keys(definition.parameters)];
        throw new UnknownFault(
          `${full} does not take ${key}=${JSON.stringify(value)}; it takes ${known.join(', ')}`,
        );
      }
    }
    armed.set(full, next);
  }

  return {
    /** Arms or disarms each named fault: true, false, a number, or an object of parameters. All or nothing. */
    set(wanted: Record<string, unknown>): void {
      const before = new Map(armed);
      try {
        for (const [full, how] of Object.entries(wanted)) arm(full, how);
      } catch (cause) {
        armed.clear();
        for (const [full, was] of before) armed.set(full, was);
        throw cause;
      }
    },
    clear: () => armed.clear(),
    /** The table with what is armed now, by full name. */
    list: () => ({
      faults: Object.entries(FAULTS).map(([name, definition]) => ({ name, ...definition })),
      armed: Object.fromEntries(armed),
    }),
    /** The fault `name`, if it is armed for this place; taking it counts. */
    take(name: string, where: Where): Struck | undefined {
      for (const [full, one] of armed) {
        if (full !== name && !full.endsWith(`_${name}`)) continue;
        if (full !== name && base(full).name !== name) continue;
        if (one.path !== '' && !matches(one.path, where.path)) continue;
        if (one.out_trade_no !== '' && one.out_trade_no !== where.out_trade_no) continue;
        if (one.times === 0) continue;
        if (one.times !== null) one.times -= 1;
        one.hits += 1;
        const { parameters } = one;
        return {
          name: full,
          number: (key) => Number(parameters[key]),
          text: (key) => String(parameters[key] ?? ''),
          flag: (key) => parameters[key] === true,
        };
      }
      return undefined;
    },
  };
}

/** A `*` at the end stands for anything, elsewhere for one part of the path. */
function matches(pattern: string, path: string): boolean {
  if (pattern.endsWith('*')) return startsLike(pattern.slice(0, -1), path);
  const parts = path.split('/');
  const wanted = pattern.split('/');
  return parts.length === wanted.length && wanted.every((part, i) => part === '*' || part === parts[i]);
}

function startsLike(pattern: string, path: string): boolean {
  const parts = path.split('/');
  const wanted = pattern.split('/');
  return wanted.every((part, i) => {
    const last = i === wanted.length - 1;
    const there = parts[i];
    if (there === undefined) return false;
    return part === '*' || part === there || (last && there.startsWith(part));
  });
}

function asObject(full: string, how: unknown): Record<string, unknown> {
  if (typeof how !== 'object' || how === null || Array.isArray(how)) {
    throw new UnknownFault(`${full} is armed with true, a number or an object, not ${JSON.stringify(how)}`);
  }
  return Object.fromEntries(Object.entries(how));
}
