// The simulator from the command line: reads the options, prints the addresses, stops cleanly on SIGINT and SIGTERM.

import { parseArgs } from 'node:util';
import { MERCHANT_MODES, type MerchantMode } from './registers.ts';
import { type SimulatorOptions, startSimulator } from './server.ts';

const HELP = `node simulator/main.ts [options]

  --port N                    platform port (default SIMULATOR_PORT or 8801; 0 = any free port)
  --host HOST                 default 127.0.0.1
  --phone-port N              the WeChat browser's port (default: platform port + 1, or any free port)
  --shop-origin URL           the shop that pays here, e.g. http://127.0.0.1:3000
  --payment-directory URL     registered payment directory, repeatable (default: shop origin + /pay/)
  --oauth-domain HOST         registered OAuth domain, repeatable (default: the shop's host)
  --js-domain HOST            registered JS domain, where wx.config works, repeatable (default: the shop's host)
  --state FILE                keep orders, balances and the clock in FILE across restarts
  --seed TEXT                 deterministic keys and ids
  --strict                    enforce doubtful rules too (5 minutes for time_expire and close, https notify_url, …)
  --allow-any-notify-host     call notify_url on hosts other than this machine
  --tls-port N                the TLS listener's port (default: any free port)
  --tls-cert FILE             its certificate in PEM, with --tls-key (default: one of the simulator's own authority)
  --tls-key FILE              the key of --tls-cert
  --refund-without-certificate  take refunds and fund flows over the plain listener too
  --refund-delay-s N          how long a refund is under way on the platform's clock (default 5)
  --refund-notify-url URL     the console's address for refund notifications
  --merchant-mode MODE        v2, certificate, public_key (default) or switching
  --json                      print the addresses and the whole configuration as one JSON object
  --help
`;

function portOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined || text === '') return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`${name} must be a port, not ${text}`);
  return port;
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds < 0)
    throw new Error(`--refund-delay-s must be seconds, not ${text}`);
  return seconds;
}

function modeOf(text: string): MerchantMode {
  const mode = MERCHANT_MODES.find((m) => m === text);
  if (mode === undefined)
    throw new Error(`--merchant-mode is one of ${MERCHANT_MODES.join(', ')}, not ${text}`);
  return mode;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      host: { type: 'string' },
      'phone-port': { type: 'string' },
      'shop-origin': { type: 'string' },
      'payment-directory': { type: 'string', multiple: true },
      'oauth-domain': { type: 'string', multiple: true },
      'js-domain': { type: 'string', multiple: true },
      state: { type: 'string' },
      seed: { type: 'string' },
      strict: { type: 'boolean' },
      'allow-any-notify-host': { type: 'boolean' },
      'tls-port': { type: 'string' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      'refund-without-certificate': { type: 'boolean' },
      'refund-delay-s': { type: 'string' },
      'refund-notify-url': { type: 'string' },
      'merchant-mode': { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const port = portOf(values.port ?? process.env.SIMULATOR_PORT, '--port') ?? 8801;
  const asked = portOf(values['phone-port'], '--phone-port');
  const options: SimulatorOptions = {
    port,
    ...(asked === undefined ? {} : { phone_port: asked }),
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(values['shop-origin'] === undefined ? {} : { shop_origin: new URL(values['shop-origin']).origin }),
    ...(values['payment-directory'] === undefined
      ? {}
      : { payment_directories: values['payment-directory'] }),
    ...(values['oauth-domain'] === undefined ? {} : { oauth_domains: values['oauth-domain'] }),
    ...(values['js-domain'] === undefined ? {} : { js_domains: values['js-domain'] }),
    ...(values.state === undefined ? {} : { state_file: values.state }),
    ...(values.seed === undefined ? {} : { seed: values.seed }),
    ...(values['tls-port'] === undefined ? {} : { tls_port: portOf(values['tls-port'], '--tls-port') ?? 0 }),
    ...(values['tls-cert'] === undefined ? {} : { tls_cert_file: values['tls-cert'] }),
    ...(values['tls-key'] === undefined ? {} : { tls_key_file: values['tls-key'] }),
    ...(values['refund-delay-s'] === undefined
      ? {}
      : { refund_delay_s: secondsOf(values['refund-delay-s']) }),
    ...(values['refund-notify-url'] === undefined ? {} : { refund_notify_url: values['refund-notify-url'] }),
    ...(values['merchant-mode'] === undefined ? {} : { merchant_mode: modeOf(values['merchant-mode']) }),
    certificate_required: values['refund-without-certificate'] !== true,
    strict: values.strict ?? false,
    allow_any_notify_host: values['allow-any-notify-host'] ?? false,
  };
  const simulator = await startSimulator(options);

  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      void simulator.close().then(() => process.exit(0));
    });
  }

  if (values.json) {
    const config: unknown = await (await fetch(`${simulator.url}/_sim/config`)).json();
    const addresses = {
      simulator: simulator.url,
      tls: simulator.tls_url,
      phone: simulator.phone_url,
      page: `${simulator.url}/_sim/`,
    };
    process.stdout.write(`${JSON.stringify({ ...addresses, config })}\n`);
  } else {
    process.stdout.write(
      `simulator  ${simulator.url}\ntls        ${simulator.tls_url}\npage       ${simulator.url}/_sim/\nphone      ${simulator.phone_url}\n`,
    );
  }
  process.stdout.write('READY\n');
}

main().catch((cause: unknown) => {
  process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`);
  process.exit(1);
});
