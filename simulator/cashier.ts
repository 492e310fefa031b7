// The payer's phone with one order on it: pay or leave, then back to where the payer came from. It is where the H5
// gate hands over to, and where a scanned code can be opened by hand. No part of WeChat's API.

import { wakeInvocations } from './bridge.ts';
import { behind } from './control.ts';
import { type Answer, type Call, type Door, escapeHtml, type Family, html } from './http.ts';
import { holder } from './oauth.ts';
import { type Handle, payerFor, payOrder, Refusal } from './orders.ts';
import { phonePage, yuanText } from './pay_page.ts';
import { type Platform, purseOf } from './platform.ts';

const NAMES = ['prepay_id', 'code_url', 'h5_url', 'out_trade_no'] as const;

function handleOf(words: URLSearchParams): Handle {
  for (const name of NAMES) {
    const value = words.get(name) ?? '';
    if (value === '') continue;
    if (name === 'h5_url' && !URL.canParse(value)) break;
    const mch_id = words.get('mch_id') ?? '';
    return mch_id === '' ? { [name]: value } : { [name]: value, mch_id };
  }
  throw new Refusal('ORDERNOTEXIST', '订单不存在', `name the order by one of ${NAMES.join(', ')}`);
}

/** Only a web address is gone back to. */
function backOf(words: URLSearchParams): string {
  const back = words.get('back') ?? '';
  return URL.canParse(back) && /^https?:$/.test(new URL(back).protocol) ? back : '';
}

function problem(call: Call, refusal: Refusal, back: string): Answer {
  call.note.code = refusal.code;
  const away =
    back === ''
      ? ''
      : `<a class="button" data-testid="cashier-back" href="${escapeHtml(back)}">返回<small lang="en">Back</small></a>`;
  return html(
    200,
    phonePage(
      '支付',
      `<h1 class="problem" data-testid="cashier-problem">${escapeHtml(refusal.text)}</h1><p class="small" lang="en">${escapeHtml(refusal.why)}</p>${away}`,
    ),
  );
}

/** The sheet: what is to be paid, to whom, by whom. */
async function sheet(platform: Platform, call: Call): Promise<Answer> {
  const words = call.query;
  const user = holder(platform, call);
  const { order, prepay } = await behind(platform, handleOf(words), user?.openid);
  const handle =
    prepay === undefined
      ? { out_trade_no: order.out_trade_no, mch_id: order.mch_id }
      : { prepay_id: prepay.prepay_id };
  const kept = Object.entries({ ...handle, back: backOf(words) })
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${escapeHtml(value)}">`)
    .join('');
  const options = platform.store.state.users
    .map(
      (u) =>
        `<option value="${escapeHtml(u.openid)}"${u === user ? ' selected' : ''}>${escapeHtml(u.nickname)} ${yuanText(u.balance_fen)}</option>`,
    )
    .join('');
  const name = purseOf(platform, order)?.name ?? '';
  return html(
    200,
    phonePage(
      '支付',
      `<h1 class="who">${escapeHtml(name)}</h1><p class="small">${escapeHtml(order.body)}</p><p class="amount" data-testid="cashier-amount">${yuanText(order.total_fen)}</p><form method="post" action="/_sim/cashier">${kept}<label class="small">付款人<small lang="en">payer</small> <select name="openid" data-testid="cashier-payer">${options}</select></label><button class="button pay" name="action" value="pay" data-testid="cashier-pay">支付<small lang="en">Pay</small></button><button class="button" name="action" value="cancel" data-testid="cashier-cancel">取消<small lang="en">Cancel</small></button></form>`,
    ),
  );
}

/** The thumb: pays or leaves, then goes back. */
async function press(platform: Platform, words: URLSearchParams): Promise<Answer> {
  const openid = words.get('openid') ?? '';
  const { order, prepay } = await behind(platform, handleOf(words), openid || undefined);
  const back = backOf(words);
  const paid = words.get('action') === 'pay';
  if (paid) payOrder(platform, order, prepay, payerFor(platform, order, openid));
  wakeInvocations(platform, order, paid ? 'paid' : 'cancelled');
  if (back !== '') return { status: 303, headers: { Location: back, 'Cache-Control': 'no-store' }, body: '' };
  const said = paid ? '支付成功<small lang="en">Paid</small>' : '已取消<small lang="en">Cancelled</small>';
  return html(200, phonePage('支付', `<h1 class="amount" data-testid="cashier-done">${said}</h1>`));
}

const door: Door = async (platform, call) => {
  const words = call.method === 'POST' ? new URLSearchParams(call.body.toString('utf8')) : call.query;
  try {
    return await (call.method === 'POST' ? press(platform, words) : sheet(platform, call));
  } catch (cause) {
    if (cause instanceof Refusal) return problem(call, cause, backOf(words));
    throw cause;
  }
};

export const cashier: Family = { name: 'cashier', logged: false, doors: { '/_sim/cashier': door } };
