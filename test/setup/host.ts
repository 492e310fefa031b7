/**
 * The doorways on a plain node:http server: the same functions Next mounts, without Next, so that a test can let
 * the simulator deliver notifications to them and kill and start them in a moment.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as login from '../../app/api/admin/login/route.ts';
import * as logout from '../../app/api/admin/logout/route.ts';
import * as appMini from '../../app/api/app/mini/session/route.ts';
import * as appPay from '../../app/api/app/orders/[order_no]/pay/route.ts';
import * as appStatus from '../../app/api/app/orders/[order_no]/route.ts';
import * as appOrders from '../../app/api/app/orders/route.ts';
import * as live from '../../app/api/health/live/route.ts';
import * as ready from '../../app/api/health/ready/route.ts';
import * as notifyV2Payment from '../../app/api/notify/v2/payment/route.ts';
import * as notifyV2Refund from '../../app/api/notify/v2/refund/route.ts';
import * as notifyV3Payment from '../../app/api/notify/v3/payment/route.ts';
import * as notifyV3Refund from '../../app/api/notify/v3/refund/route.ts';
import * as bridge from '../../app/api/orders/[order_no]/bridge/route.ts';
import * as pay from '../../app/api/orders/[order_no]/pay/route.ts';
import * as status from '../../app/api/orders/[order_no]/route.ts';
import * as orders from '../../app/api/orders/route.ts';
import * as products from '../../app/api/products/route.ts';
import * as signout from '../../app/api/signout/route.ts';
import * as jssdk from '../../app/api/wechat/jssdk/route.ts';
import * as native from '../../app/api/wechat/native/route.ts';
import * as oauth from '../../app/api/wechat/oauth/route.ts';
import * as accountServer from '../../app/api/wechat/server/route.ts';
import { nodeListener } from '../../lib/node_host.ts';

type Handler = (
  request: Request,
  route: { params: Promise<{ order_no: string }> },
) => Response | Promise<Response>;

const doorways: [string, RegExp, Handler][] = [
  ['GET', /^\/api\/products$/, products.GET],
  ['POST', /^\/api\/orders$/, orders.POST],
  ['GET', /^\/api\/orders\/([^/]+)$/, status.GET],
  ['POST', /^\/api\/orders\/([^/]+)\/pay$/, pay.POST],
  ['POST', /^\/api\/orders\/([^/]+)\/bridge$/, bridge.POST],
  ['POST', /^\/api\/app\/mini\/session$/, appMini.POST],
  ['POST', /^\/api\/app\/orders$/, appOrders.POST],
  ['GET', /^\/api\/app\/orders\/([^/]+)$/, appStatus.GET],
  ['POST', /^\/api\/app\/orders\/([^/]+)\/pay$/, appPay.POST],
  ['POST', /^\/api\/wechat\/native$/, native.POST],
  ['GET', /^\/api\/wechat\/oauth$/, oauth.GET],
  ['GET', /^\/api\/wechat\/jssdk$/, jssdk.GET],
  ['GET', /^\/api\/wechat\/server$/, accountServer.GET],
  ['POST', /^\/api\/wechat\/server$/, accountServer.POST],
  ['POST', /^\/api\/notify\/v2\/payment$/, notifyV2Payment.POST],
  ['POST', /^\/api\/notify\/v2\/refund$/, notifyV2Refund.POST],
  ['POST', /^\/api\/notify\/v3\/payment$/, notifyV3Payment.POST],
  ['POST', /^\/api\/notify\/v3\/refund$/, notifyV3Refund.POST],
  ['POST', /^\/api\/signout$/, signout.POST],
  ['POST', /^\/api\/admin\/login$/, login.POST],
  ['POST', /^\/api\/admin\/logout$/, logout.POST],
  ['GET', /^\/api\/health\/live$/, live.GET],
  ['GET', /^\/api\/health\/ready$/, ready.GET],
];

/** Runs a request through the doorways without any socket. */
export async function knock(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  for (const [method, path, handler] of doorways) {
    const match = path.exec(pathname);
    if (match === null || method !== request.method) continue;
    return handler(request, { params: Promise.resolve({ order_no: decodeURIComponent(match[1] ?? '') }) });
  }
  return new Response('no such doorway', { status: 404 });
}

export interface Host {
  origin: string;
  close: () => Promise<void>;
}

/** Serves the doorways on a free port of 127.0.0.1; behind proxies of ours when told so. */
export async function startHost(trusted_proxies = 0): Promise<Host> {
  const server = createServer(
    nodeListener(knock, {
      body_limit_bytes: 1_048_576,
      trusted_proxies,
      secure: false,
      onFault: (thrown) => console.error('a doorway threw', thrown),
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
