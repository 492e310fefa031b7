// The schemas of API v3 requests and their judge, in the words of WeChat's own validator: required members, types,
// byte lengths, patterns, bounds, and members nobody documented.

export type Rule = {
  kind: 'string' | 'integer' | 'boolean' | 'object' | 'array';
  label: string;
  required?: boolean;
  /** Bytes of a string; value of an integer. */
  least?: number;
  most?: number;
  pattern?: RegExp;
  one_of?: string[];
  members?: Schema;
  items?: Rule;
};
export type Schema = Record<string, Rule>;

export type SchemaFault = {
  message: string;
  detail: { location: string | null; value: unknown };
  why: string;
};

const text = (label: string, most: number, more: Partial<Rule> = {}): Rule => ({
  kind: 'string',
  label,
  most,
  ...more,
});
const needed = (label: string, most: number, more: Partial<Rule> = {}): Rule =>
  text(label, most, { required: true, least: 1, ...more });
const whole = (label: string, more: Partial<Rule> = {}): Rule => ({ kind: 'integer', label, ...more });

const NUMBER = /^[0-9a-zA-Z_\-|*]{1,}$/;
const goods: Rule = {
  kind: 'array',
  label: '单品列表',
  items: {
    kind: 'object',
    label: '单品',
    members: {
      merchant_goods_id: needed('商户侧商品编码', 32),
      wechatpay_goods_id: text('微信支付商品编码', 32),
      goods_name: text('商品名称', 256),
      quantity: whole('商品数量', { required: true, least: 1 }),
      unit_price: whole('商品单价', { required: true, least: 0 }),
    },
  },
};

/** What the four ways of placing an order share. */
const ORDER: Schema = {
  appid: needed('公众账号ID', 32),
  mchid: needed('直连商户号', 32),
  description: needed('商品描述', 127),
  out_trade_no: needed('商户订单号', 32, { least: 6, pattern: NUMBER }),
  time_expire: text('交易结束时间', 64),
  attach: text('附加数据', 128),
  notify_url: needed('通知地址', 255),
  goods_tag: text('订单优惠标记', 32),
  support_fapiao: { kind: 'boolean', label: '电子发票入口开放标识' },
  limit_pay: { kind: 'array', label: '指定支付方式', items: text('支付方式', 32) },
  amount: {
    kind: 'object',
    label: '订单金额',
    required: true,
    members: {
      total: whole('总金额', { required: true, least: 1, most: 2 ** 31 - 1 }),
      currency: text('货币类型', 16, { one_of: ['CNY'] }),
    },
  },
  detail: {
    kind: 'object',
    label: '优惠功能',
    members: { cost_price: whole('订单原价'), invoice_id: text('商品小票ID', 32), goods_detail: goods },
  },
  settle_info: {
    kind: 'object',
    label: '结算信息',
    members: { profit_sharing: { kind: 'boolean', label: '是否指定分账' } },
  },
};

function sceneInfo(h5: boolean): Rule {
  return {
    kind: 'object',
    label: '场景信息',
    required: h5,
    members: {
      payer_client_ip: needed('用户终端IP', 45),
      device_id: text('商户端设备号', 32),
      store_info: {
        kind: 'object',
        label: '商户门店信息',
        members: {
          id: needed('门店编号', 32),
          name: text('门店名称', 256),
          area_code: text('地区编码', 32),
          address: text('详细地址', 512),
        },
      },
      ...(h5
        ? {
            h5_info: {
              kind: 'object' as const,
              label: 'H5场景信息',
              required: true,
              members: {
                type: needed('场景类型', 32),
                app_name: text('应用名称', 64),
                app_url: text('网站URL', 128),
                bundle_id: text('iOS平台BundleID', 128),
                package_name: text('Android平台PackageName', 128),
              },
            },
          }
        : {}),
    },
  };
}

export const JSAPI_ORDER: Schema = {
  ...ORDER,
  scene_info: sceneInfo(false),
  payer: {
    kind: 'object',
    label: '支付者',
    required: true,
    members: { openid: needed('用户标识', 128) },
  },
};
export const NATIVE_ORDER: Schema = { ...ORDER, scene_info: sceneInfo(false) };
export const APP_ORDER: Schema = NATIVE_ORDER;
export const H5_ORDER: Schema = { ...ORDER, scene_info: sceneInfo(true) };
const { time_expire: _expire, notify_url: _notify, ...COUNTER } = ORDER;
export const CODEPAY: Schema = {
  ...COUNTER,
  payer: {
    kind: 'object',
    label: '支付者',
    required: true,
    members: { auth_code: needed('付款码', 128) },
  },
  scene_info: {
    kind: 'object',
    label: '场景信息',
    required: true,
    members: {
      device_id: text('商户端设备号', 32),
      device_ip: text('商户端设备IP', 45),
      store_info: {
        kind: 'object',
        label: '商户门店信息',
        required: true,
        members: { id: text('门店编号', 32), out_id: text('商户侧门店编号', 256) },
      },
    },
  },
};
export const REVERSE: Schema = { appid: needed('公众账号ID', 32), mchid: needed('直连商户号', 32) };
export const CLOSE: Schema = { mchid: needed('直连商户号', 32) };

/** The same schema as a service provider fills it. */
function forPartner({ appid, mchid, ...rest }: Schema): Schema {
  return {
    ...(appid === undefined ? {} : { sp_appid: needed('服务商应用ID', 32) }),
    ...(mchid === undefined ? {} : { sp_mchid: needed('服务商户号', 32) }),
    ...(appid === undefined ? {} : { sub_appid: text('子商户应用ID', 32) }),
    sub_mchid: needed('子商户号', 32),
    ...rest,
  };
}

export const PARTNER = {
  jsapi: {
    ...forPartner(JSAPI_ORDER),
    payer: {
      kind: 'object' as const,
      label: '支付者',
      required: true,
      members: { sp_openid: text('用户服务标识', 128), sub_openid: text('用户子标识', 128) },
    },
  },
  native: forPartner(NATIVE_ORDER),
  app: forPartner(APP_ORDER),
  h5: forPartner(H5_ORDER),
  close: forPartner(CLOSE),
  codepay: forPartner(CODEPAY),
  reverse: forPartner(REVERSE),
} satisfies Record<string, Schema>;

export const REFUND: Schema = {
  sub_mchid: text('子商户号', 32),
  transaction_id: text('微信支付订单号', 32),
  out_trade_no: text('商户订单号', 32, { pattern: NUMBER }),
  out_refund_no: needed('商户退款单号', 64, { pattern: /^[0-9a-zA-Z_\-|*@]{1,}$/ }),
  reason: text('退款原因', 80),
  notify_url: text('退款结果回调url', 256),
  funds_account: text('退款资金来源', 32, { one_of: ['AVAILABLE', 'UNSETTLED'] }),
  amount: {
    kind: 'object',
    label: '金额信息',
    required: true,
    members: {
      refund: whole('退款金额', { required: true, least: 1 }),
      total: whole('原订单金额', { required: true, least: 1 }),
      currency: needed('退款币种', 16, { one_of: ['CNY'] }),
      from: {
        kind: 'array',
        label: '退款出资账户及金额',
        items: {
          kind: 'object',
          label: '出资账户',
          members: { account: needed('出资账户类型', 32), amount: whole('出资金额', { required: true }) },
        },
      },
    },
  },
  goods_detail: {
    kind: 'array',
    label: '退款商品',
    items: {
      kind: 'object',
      label: '商品',
      members: {
        merchant_goods_id: needed('商户侧商品编码', 32),
        wechatpay_goods_id: text('微信支付商品编码', 32),
        goods_name: text('商品名称', 256),
        unit_price: whole('商品单价', { required: true }),
        refund_amount: whole('商品退款金额', { required: true }),
        refund_quantity: whole('商品退货数量', { required: true }),
      },
    },
  },
};

export const ABNORMAL_REFUND: Schema = {
  sub_mchid: text('子商户号', 32),
  out_refund_no: needed('商户退款单号', 64),
  type: needed('异常退款处理方式', 32, { one_of: ['USER_BANK_CARD', 'MERCHANT_BANK_CARD'] }),
  bank_type: text('开户银行', 16),
  bank_account: text('收款银行卡号', 1024),
  real_name: text('收款用户姓名', 1024),
};

/** The first fault of a value, `at` being its JSON pointer from the source it came in. */
export function schemaFault(value: unknown, schema: Schema, source = '/body'): SchemaFault | undefined {
  const unknown = unknownMembers(value, schema, source);
  if (unknown.length > 0) {
    return {
      message: '请求中含有未在API文档中定义的参数',
      detail: { location: null, value: unknown },
      why: `${unknown.join(', ')} is documented nowhere`,
    };
  }
  return membersFault(value, schema, source);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownMembers(value: unknown, schema: Schema, at: string): string[] {
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const rule = Object.hasOwn(schema, name) ? schema[name] : undefined;
    if (rule === undefined) return [`${at}/${name}`];
    if (rule.members !== undefined) return unknownMembers(inner, rule.members, `${at}/${name}`);
    const { items } = rule;
    if (items?.members === undefined || !Array.isArray(inner)) return [];
    const { members } = items;
    return inner.flatMap((one, i) => unknownMembers(one, members, `${at}/${name}/${i}`));
  });
}

function membersFault(value: unknown, schema: Schema, at: string): SchemaFault | undefined {
  const given = isObject(value) ? value : {};
  for (const [name, rule] of Object.entries(schema)) {
    const fault = ruleFault(given[name], rule, `${at}/${name}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function ruleFault(value: unknown, rule: Rule, at: string): SchemaFault | undefined {
  const location = at.split('/')[1] ?? null;
  const fault = (message: string, shown: unknown): SchemaFault => ({
    message,
    detail: { location, value: shown },
    why: `${at}: ${message}`,
  });
  if (value === undefined || value === null || value === '') {
    if (rule.required !== true) return undefined;
    return fault(`输入源“${at}”映射到字段“${rule.label}”必填性规则校验失败，此字段为必填项`, '');
  }
  if (rule.kind === 'integer') {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
      return fault(
        `无法将 JSON 输入源“${at}”映射到目标字段“${rule.label}”中，此字段需要一个合法的 64 位有符号整数`,
        value,
      );
    }
    const bound = (rest: string) =>
      fault(`输入源“${at}”映射到数值字段“${rule.label}”规则校验失败，${rest}`, value);
    if (rule.least !== undefined && value < rule.least) return bound(`值低于最小值 ${rule.least}`);
    if (rule.most !== undefined && value > rule.most) return bound(`值高于最大值 ${rule.most}`);
    return undefined;
  }
  const wrongKind = (wanted: string) =>
    fault(`无法将 JSON 输入源“${at}”映射到目标字段“${rule.label}”中，此字段需要${wanted}`, value);
  if (rule.kind === 'boolean') return typeof value === 'boolean' ? undefined : wrongKind('一个布尔值');
  if (rule.kind === 'object')
    return isObject(value) ? membersFault(value, rule.members ?? {}, at) : wrongKind('一个对象');
  if (rule.kind === 'array') {
    if (!Array.isArray(value)) return wrongKind('一个数组');
    const { items } = rule;
    if (items === undefined) return undefined;
    return value.map((one, i) => ruleFault(one, items, `${at}/${i}`)).find((f) => f !== undefined);
  }
  if (typeof value !== 'string') return wrongKind('一个字符串');
  return stringFault(value, rule, (rest, shown) =>
    fault(`输入源“${at}”映射到值字段“${rule.label}”字符串规则校验失败，${rest}`, shown),
  );
}

function stringFault(
  value: string,
  rule: Rule,
  fault: (rest: string, shown: unknown) => SchemaFault,
): SchemaFault | undefined {
  const bytes = Buffer.byteLength(value, 'utf8');
  if (rule.most !== undefined && bytes > rule.most)
    return fault(`字节数 ${bytes}，大于最大值 ${rule.most}`, bytes);
  if (rule.least !== undefined && bytes < rule.least)
    return fault(`字节数 ${bytes}，小于最小值 ${rule.least}`, bytes);
  if (rule.pattern !== undefined && !rule.pattern.test(value))
    return fault(`字符串必须匹配正则表达式“${rule.pattern.source}”`, value);
  if (rule.one_of !== undefined && !rule.one_of.includes(value))
    return fault(`值必须是 ${rule.one_of.join('、')} 之一`, value);
  return /[\u{10000}-\u{10ffff}]/u.test(value) ? fault('含有四字节字符', value) : undefined;
}
