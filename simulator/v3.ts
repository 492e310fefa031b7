// API v3 as one family of doors: every path under /v3/ goes to the same judge with the same table of routes.

import { BILL_ROUTES } from './bill_v3.ts';
import { CERTIFICATE_ROUTES } from './certificates_v3.ts';
import { CODEPAY_ROUTES } from './codepay_v3.ts';
import { serve } from './envelope_v3.ts';
import type { Family } from './http.ts';
import { PAY_ROUTES } from './pay_v3.ts';
import { REFUND_ROUTES } from './refund_v3.ts';
import { spoiled } from './sign_v2.ts';

const ROUTES = [...PAY_ROUTES, ...CODEPAY_ROUTES, ...REFUND_ROUTES, ...BILL_ROUTES, ...CERTIFICATE_ROUTES];
const door = serve(ROUTES);

/** Paths without a variable part stand by themselves, so that a fault can be bound to them by their last word. */
const NAMED = [
  '/v3/pay/transactions/jsapi',
  '/v3/pay/transactions/native',
  '/v3/pay/transactions/app',
  '/v3/pay/transactions/h5',
  '/v3/pay/transactions/codepay',
  '/v3/pay/partner/transactions/jsapi',
  '/v3/pay/partner/transactions/native',
  '/v3/pay/partner/transactions/app',
  '/v3/pay/partner/transactions/h5',
  '/v3/pay/partner/transactions/codepay',
  '/v3/refund/domestic/refunds',
  '/v3/certificates',
  '/v3/bill/tradebill',
  '/v3/bill/fundflowbill',
  '/v3/billdownload/file',
];

export const v3: Family = {
  name: 'v3',
  logged: true,
  doors: { ...Object.fromEntries(NAMED.map((path) => [path, door])), '/v3/*': door },
  systemError: serve(ROUTES, true),
  spoil(answer) {
    const signature = answer.headers['Wechatpay-Signature'];
    if (typeof signature !== 'string') return answer;
    return { ...answer, headers: { ...answer.headers, 'Wechatpay-Signature': spoiled(signature) } };
  },
};
