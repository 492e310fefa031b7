/**
 * The server of an APP that sells through this shop: orders, gets the parameters for the APP's WeChat SDK, learns what
 * became of it. Runs anywhere `fetch` is; the key is one of the shop's APP_API_KEYS and never leaves this server.
 *
 *   const shop = createShop({ origin: 'https://shop.example.com', api_key: process.env.SHOP_API_KEY });
 *   const order = await shop.order([{ product_id: 'longjing', quantity: 1 }], cart_id);
 *   const pay_req = await shop.pay(order.order_no, phone_ip);        // → the APP: PayReq, WXApi.sendReq
 *   const status = await shop.outcome(order.order_no);               // whatever errCode the SDK reported
 */
export interface Item {
  product_id: string;
  quantity: number;
}

export interface Order {
  order_no: string;
  total_fen: number;
  expires_at: string;
}

/** The members of the SDK's PayReq; on iOS `packageValue` is named `package`. */
export interface PayReq {
  appId: string;
  partnerId: string;
  prepayId: string;
  packageValue: string;
  nonceStr: string;
  timeStamp: string;
  sign: string;
}

export interface Status {
  state: 'NOTPAY' | 'SUCCESS' | 'REFUND' | 'CLOSED';
  total_fen: number;
  refunded_fen: number;
  next_poll_ms: number | null;
}

/** The shop said no: `code` is stable, `message` is for people. */
export class ShopError extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status: number) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export function createShop({ origin, api_key }: { origin: string; api_key: string }) {
  async function call<Answer>(
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const answer = await fetch(`${origin}/api/app${path}`, {
      method,
      headers: { authorization: `Bearer ${api_key}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(25_000),
    });
    const said = (await answer.json()) as Answer & { error?: { code: string; message: string } };
    if (said.error !== undefined) throw new ShopError(said.error.code, said.error.message, answer.status);
    return said;
  }

  const status = (order_no: string) => call<Status>('GET', `/orders/${order_no}`);

  return {
    /** `cart_id`, 16 to 64 letters, digits, _ or -: the same cart sent again, after a lost answer too, is one order. */
    order: (items: Item[], cart_id: string) =>
      call<Order>('POST', '/orders', { items }, { 'idempotency-key': cart_id }),

    /** `payer_client_ip` is the phone's address as your server sees it. */
    async pay(order_no: string, payer_client_ip: string): Promise<PayReq> {
      const { app } = await call<{ app: PayReq }>('POST', `/orders/${order_no}/pay`, { payer_client_ip });
      return app;
    },

    status,

    /** Asks for a minute, then says what is known: an order that is NOTPAY then is not lost, ask again later. */
    async outcome(order_no: string): Promise<Status> {
      for (const deadline = Date.now() + 60_000; ; ) {
        const now = await status(order_no);
        if (now.state !== 'NOTPAY' || now.next_poll_ms === null || Date.now() > deadline) return now;
        await new Promise((resolve) => setTimeout(resolve, now.next_poll_ms ?? 0));
      }
    },
  };
}
