// What a page finds inside WeChat: window.WeixinJSBridge, drawn by the simulator. Plain ES2017, one file, served
// with its options baked in; it believes the simulator, never the page.
((baked) => {
  if (window.top !== window || window.__sim_bridge_log) return;
  const NAME = 'get_brand_wcpay_request';
  const firstUrl = String(window.location.href);
  const fetchNow = window.fetch.bind(window);
  const log = [];
  window.__sim_bridge_log = log;

  // Read at each use, so that a test may change window.__sim_bridge while the page lives.
  function option(name) {
    const own = window.__sim_bridge;
    return own && own[name] !== undefined ? own[name] : baked[name];
  }

  // An iPhone injects the bridge before the page's first script and judges the page that was loaded; Android is later
  // and judges the present one. Without being told, the browser says which it plays.
  function device() {
    return option('platform') || (/iPhone|iPad|iPod/.test(navigator.userAgent) ? 'ios' : 'android');
  }

  function report(url) {
    const origin = option('page_origin');
    if (!origin) return url;
    const at = new URL(url);
    return origin + at.pathname + at.search + at.hash;
  }

  function ask(door, body) {
    return fetchNow(`${baked.base}/_sim/bridge/${door}`, {
      method: 'POST',
      credentials: 'omit',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).then((response) => response.json());
  }

  function element(tag, attributes, children) {
    const node = document.createElement(tag);
    Object.keys(attributes || {}).forEach((key) => {
      node.setAttribute(key, attributes[key]);
    });
    (children || []).forEach((child) => {
      node.appendChild(typeof child === 'string' ? document.createTextNode(child) : child);
    });
    return node;
  }

  const STYLE =
    ':host{all:initial;position:fixed;inset:0;z-index:2147483647;font:16px/1.5 -apple-system,"PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif;color:#191919}' +
    '.veil{position:absolute;inset:0;background:rgba(0,0,0,.55)}' +
    '.sheet{position:absolute;left:0;right:0;bottom:0;margin:0 auto;max-width:480px;background:#fff;border-radius:12px 12px 0 0;padding:16px 24px calc(28px + env(safe-area-inset-bottom));text-align:center;animation:up .2s ease-out}' +
    '@keyframes up{from{transform:translateY(40%);opacity:0}}@media(prefers-reduced-motion:reduce){.sheet{animation:none}}' +
    '.bar{display:flex;justify-content:space-between;align-items:center;min-height:44px}.bar span{flex:1;font-weight:600}' +
    'button{font:inherit;border:0;cursor:pointer;min-height:44px;border-radius:8px;padding:0 16px}' +
    'button:focus-visible{outline:3px solid #10aeff;outline-offset:2px}' +
    '.close{background:none;color:#576b95;padding:0 8px;margin-left:-8px}.pay{background:#07c160;color:#fff;width:100%;max-width:220px;font-weight:600;margin-top:24px}' +
    '.merchant{margin-top:16px;color:#333}.amount{font-size:40px;font-weight:600;line-height:1.3}.amount small{font-size:26px}' +
    'dl{display:flex;justify-content:space-between;border-top:1px solid #ededed;margin:20px 0 0;padding-top:14px;color:#6b6b6b}dd{margin:0;color:#191919}' +
    '.problem{color:#d93026;min-height:24px;margin:12px 0 0}.tick{width:56px;height:56px;line-height:56px;border-radius:50%;background:#07c160;color:#fff;font-size:30px;margin:8px auto}' +
    '.alert{position:absolute;left:50%;top:42%;transform:translate(-50%,-50%);width:min(300px,84vw);background:#fff;border-radius:12px;text-align:center;overflow:hidden}' +
    '.alert p{margin:0;padding:32px 20px;overflow-wrap:anywhere}.alert button{width:100%;border-radius:0;border-top:1px solid #ededed;background:#fff;color:#576b95;font-weight:600}' +
    '.spacer{width:52px}';

  function stage(children) {
    const host = element('sim-wechat-pay', { 'data-testid': 'sim-bridge' });
    const root = host.attachShadow({ mode: 'open' });
    // A constructed sheet passes a page's style policy; an old engine gets an ordinary element.
    if ('adoptedStyleSheets' in root && typeof CSSStyleSheet === 'function') {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
    } else {
      root.appendChild(element('style', {}, [STYLE]));
    }
    root.appendChild(element('div', { class: 'veil' }));
    children.forEach((child) => {
      root.appendChild(child);
    });
    document.documentElement.appendChild(host);
    return { root: root, remove: () => host.remove() };
  }

  function alertBox(text) {
    return new Promise((resolve) => {
      const ok = element('button', { 'data-testid': 'sim-alert-ok', type: 'button' }, ['确定']);
      const words = element('p', { 'data-testid': 'sim-alert-text' }, [text]);
      const box = element('div', { class: 'alert', role: 'alertdialog', 'data-testid': 'sim-alert' }, [
        words,
        ok,
      ]);
      const drawn = stage([box]);
      ok.addEventListener('click', () => {
        drawn.remove();
        resolve();
      });
      ok.focus();
    });
  }

  function yuan(fen) {
    return `${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`;
  }

  function paymentSheet(call) {
    return new Promise((resolve) => {
      const close = element('button', { class: 'close', type: 'button', 'data-testid': 'sim-sheet-close' }, [
        '关闭',
      ]);
      const pay = element('button', { class: 'pay', type: 'button', 'data-testid': 'sim-sheet-pay' }, [
        '支付',
      ]);
      const problem = element('p', { class: 'problem', role: 'alert', 'data-testid': 'sim-sheet-problem' });
      const inner = element('div', {}, [
        element('div', { class: 'merchant', 'data-testid': 'sim-sheet-merchant' }, [call.sheet.merchant]),
        element('div', { class: 'amount', 'data-testid': 'sim-sheet-amount' }, [
          element('small', {}, ['¥']),
          yuan(call.sheet.total_fen),
        ]),
        element('dl', {}, [
          element('dt', {}, ['商品']),
          element('dd', { 'data-testid': 'sim-sheet-body' }, [call.sheet.body]),
        ]),
        element('dl', {}, [
          element('dt', {}, ['付款人']),
          element('dd', { 'data-testid': 'sim-sheet-payer' }, [
            `${call.sheet.payer}（零钱 ¥${yuan(call.sheet.balance_fen)}）`,
          ]),
        ]),
        problem,
        pay,
      ]);
      const bar = element('div', { class: 'bar' }, [
        close,
        element('span', {}, ['微信支付（模拟）']),
        element('div', { class: 'spacer' }),
      ]);
      const panel = element(
        'div',
        { class: 'sheet', role: 'dialog', 'aria-label': '微信支付', 'data-testid': 'sim-sheet' },
        [bar, inner],
      );
      const drawn = stage([panel]);
      let paid = null;
      function end(answer) {
        drawn.remove();
        resolve(answer);
      }
      close.addEventListener('click', () => {
        // Leaving after success without pressing 完成 is told to the page as a cancel, as WeChat does.
        if (paid) end({ err_msg: `${NAME}:cancel` });
        else
          ask('finish', { invocation_id: call.invocation_id, action: 'cancel' }).then(end, unreachable(end));
      });
      pay.addEventListener('click', () => {
        pay.disabled = true;
        ask('finish', { invocation_id: call.invocation_id, action: 'pay' }).then((answer) => {
          if (answer.err_msg !== `${NAME}:ok`) {
            pay.disabled = false;
            problem.textContent = answer.screen || answer.err_msg || '支付失败';
            return;
          }
          paid = answer;
          const done = element('button', { class: 'pay', type: 'button', 'data-testid': 'sim-sheet-done' }, [
            '完成',
          ]);
          inner.replaceWith(
            element('div', {}, [
              element('div', { class: 'tick' }, ['✓']),
              element('div', {}, ['支付成功']),
              element('div', { class: 'amount' }, [element('small', {}, ['¥']), yuan(call.sheet.total_fen)]),
              done,
            ]),
          );
          done.addEventListener('click', () => {
            end(answer);
          });
          done.focus();
        }, unreachable(end));
      });
      pay.focus();
    });
  }

  function unreachable(end) {
    return (cause) => {
      end({ err_msg: `${NAME}:fail`, err_desc: `the simulator cannot be reached: ${cause}` });
    };
  }

  function finish(call, action) {
    return ask('finish', { invocation_id: call.invocation_id, action: action });
  }

  function held(call) {
    return ask('wait', { invocation_id: call.invocation_id }).then((state) => {
      if (state.outcome === 'paid') return { err_msg: `${NAME}:ok` };
      if (state.outcome === 'cancelled') return { err_msg: `${NAME}:cancel` };
      if (state.outcome === 'open') return held(call);
      return { err_msg: `${NAME}:fail`, err_desc: '系统繁忙' };
    });
  }

  // Each way a payer may behave, after WeChat has let the call through; null means the page is never called back.
  const MODES = {
    sheet: paymentSheet,
    ok: (call) => finish(call, 'pay'),
    cancel: (call) => finish(call, 'cancel'),
    fail: (call) => finish(call, 'cancel').then(() => ({ err_msg: `${NAME}:fail`, err_desc: '支付失败' })),
    hold: held,
    pay_then_cancel: (call) =>
      finish(call, 'pay').then((answer) =>
        answer.err_msg === `${NAME}:ok` ? { err_msg: `${NAME}:cancel` } : answer,
      ),
    ok_without_pay: () => Promise.resolve({ err_msg: `${NAME}:ok` }),
    pay_without_callback: (call) => finish(call, 'pay').then(() => null),
  };

  function pay(params) {
    if (option('mode') === 'denied') return Promise.resolve({ err_msg: 'system:access_denied' });
    return ask('invoke', {
      method: 'getBrandWCPayRequest',
      params: params,
      page_url: report(String(window.location.href)),
      first_url: report(firstUrl),
      platform: device(),
      openid: option('openid'),
    }).then((call) => {
      if (call.err_msg) {
        const answer = { err_msg: call.err_msg };
        // Only Android says why.
        if (/:fail$/.test(call.err_msg) && device() === 'android') answer.err_desc = call.screen;
        if (option('mode') !== 'sheet') return answer;
        return alertBox(call.screen).then(() => answer);
      }
      const behave = MODES[option('mode')];
      if (!behave)
        return { err_msg: `${NAME}:fail`, err_desc: `the simulator knows no mode ${option('mode')}` };
      return behave(call);
    });
  }

  function other(name, params) {
    if (name === 'getNetworkType') return Promise.resolve({ err_msg: 'network_type:wifi' });
    if (name === 'closeWindow') {
      window.setTimeout(() => {
        window.close();
      }, 0);
      return Promise.resolve({ err_msg: 'close_window:ok' });
    }
    if (/^(hide|show)(OptionMenu|Toolbar|MenuItems|AllNonBaseMenuItem)$/.test(name)) {
      return Promise.resolve({ err_msg: `${name}:ok` });
    }
    if (name !== 'preVerifyJSAPI') return Promise.resolve({ err_msg: 'system:function_not_exist' });
    return ask('invoke', {
      method: name,
      params: params,
      page_url: report(String(window.location.href)),
      first_url: report(firstUrl),
      platform: device(),
      openid: option('openid'),
    });
  }

  function invoke(name, params, callback) {
    const entry = { at: new Date().toISOString(), name: name, params: params, answer: null };
    log.push(entry);
    function tell(answer) {
      entry.answer = answer;
      if (answer && typeof callback === 'function') window.setTimeout(() => callback(answer), 0);
    }
    if (name !== 'getBrandWCPayRequest') {
      other(name, params || {}).then(tell, unreachable(tell));
      return;
    }
    // Some versions call back once before the real result; a page must not take that for the end.
    if (option('pre_verify') && typeof callback === 'function') {
      window.setTimeout(() => callback({ err_msg: 'pre_verify_jsapi:ok' }), 0);
    }
    pay(params || {}).then(tell, unreachable(tell));
  }

  function appear() {
    window.WeixinJSBridge = {
      invoke: invoke,
      call: (name) => {
        invoke(name, {}, undefined);
      },
      on: () => {},
      log: () => {},
    };
    document.dispatchEvent(new Event('WeixinJSBridgeReady'));
  }

  const ready = option('ready');
  if (ready === 'never') return;
  if (ready === 'before' || (!ready && device() === 'ios')) appear();
  else if (ready) window.setTimeout(appear, Number(ready));
  else if (document.readyState !== 'loading') window.setTimeout(appear, 0);
  else document.addEventListener('DOMContentLoaded', () => window.setTimeout(appear, 0), { once: true });
})(/*SIM_OPTIONS*/ {});
