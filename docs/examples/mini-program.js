/**
 * A mini-program that orders and pays at this shop: copy it into your project and call `pay`. It needs nothing but `wx`.
 * In the mini-program's console, add the shop's address to the request domains (开发管理 → 服务器域名).
 *
 *   const shop = createShop('https://shop.example.com');
 *   const order = await shop.pay([{ product_id: 'longjing', quantity: 1 }]);   // { order_no, state: 'SUCCESS' | 'NOTPAY' … }
 */
function createShop(origin, platform = wx) {
  /** wx's callbacks as promises. */
  const call = (name, options = {}) =>
    new Promise((resolve, reject) => platform[name]({ ...options, success: resolve, fail: reject }));

  let token;

  async function ask(method, path, data, headers = {}) {
    const { statusCode, data: body } = await call('request', {
      url: origin + path,
      method,
      data,
      header: { 'content-type': 'application/json', ...headers },
    });
    if (statusCode < 400) return body;
    const { code = `http_${statusCode}`, message = code } = Object(Object(body).error);
    throw Object.assign(new Error(message), { code, status: statusCode });
  }

  /** One sign-in a day; a token that has run out is replaced, once. */
  async function signedIn(method, path, data, again = true) {
    if (token === undefined) {
      const { code } = await call('login');
      ({ token } = await ask('POST', '/api/app/mini/session', { code }));
    }
    try {
      return await ask(method, path, data, { authorization: `Bearer ${token}` });
    } catch (error) {
      if (error.status !== 401 || !again) throw error;
      token = undefined;
      return signedIn(method, path, data, false);
    }
  }

  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  /** What the server knows is what happened: neither `ok` nor `cancel` of wx.requestPayment decides. */
  async function outcome(order_no) {
    for (let poll = 0; ; poll += 1) {
      const status = await signedIn('GET', `/api/orders/${order_no}?mode=confirm&poll=${poll}`);
      if (status.state !== 'NOTPAY' || status.next_poll_ms === null) return status;
      await wait(status.next_poll_ms);
    }
  }

  return {
    /** Make `checkout_key` once per basket: the same one sent again is the same order. */
    order: (items, checkout_key) => signedIn('POST', '/api/orders', { items, checkout_key }),

    /** Pays an order that may have been begun before; tap it again as often as you like, it is one payment. */
    async payOrder(order_no) {
      const { mini_program } = await signedIn('POST', `/api/orders/${order_no}/pay`, { trade_type: 'JSAPI' });
      try {
        await call('requestPayment', mini_program);
      } catch {
        // Cancelled, says the phone; it may have paid all the same, so the server is asked, once.
        return signedIn('GET', `/api/orders/${order_no}`);
      }
      return outcome(order_no);
    },

    async pay(items, checkout_key = `mini-${Date.now()}-${Math.random().toString(36).slice(2, 12)}`) {
      const { order_no } = await this.order(items, checkout_key);
      return this.payOrder(order_no);
    },
  };
}

module.exports = { createShop };
