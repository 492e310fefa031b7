// The JS-SDK as a page inside WeChat loads it: wx.config, ready, error, checkJsApi and chooseWXPay, in front of the
// bridge. Plain ES2017; it decides nothing itself, the bridge does. Outside WeChat nothing ever answers.
((window) => {
  if (window.jWeixin) return;
  let settings = null;
  // 0 under way, 1 passed, -1 refused.
  let state = 0;
  let refusal = null;
  const onReady = [];
  const onError = [];

  function bridge(then) {
    if (window.WeixinJSBridge) {
      then(window.WeixinJSBridge);
      return;
    }
    document.addEventListener('WeixinJSBridgeReady', () => then(window.WeixinJSBridge), { once: true });
  }

  // get_brand_wcpay_request:fail_no permission → chooseWXPay:no permission
  function errMsg(name, err_msg) {
    const colon = String(err_msg || '').indexOf(':');
    let word = colon < 0 ? '' : String(err_msg).slice(colon + 1);
    if (word === 'confirm') word = 'ok';
    if (word === 'failed') word = 'fail';
    word = word
      .replace(/^failed_|^fail_/, '')
      .replace(/_/g, ' ')
      .toLowerCase();
    if (word === 'access denied' || word === 'no permission to execute') word = 'permission denied';
    return `${name}:${word || 'fail'}`;
  }

  function finish() {
    if (state < 0) for (const tell of onError.splice(0)) tell(refusal);
    // As the true one: ready comes after the check, however that ended.
    for (const tell of onReady.splice(0)) tell();
  }

  function config(given) {
    settings = given;
    state = 0;
    const began = settings;
    bridge((weixin) => {
      const params = {
        verifyAppId: given.appId,
        verifySignType: 'sha1',
        verifyTimestamp: `${given.timestamp}`,
        verifyNonceStr: given.nonceStr,
        verifySignature: given.signature,
        verifyJsApiList: given.jsApiList,
      };
      weixin.invoke('preVerifyJSAPI', params, (answer) => {
        if (settings !== began) return;
        const told = { errMsg: errMsg('config', answer.err_msg) };
        state = told.errMsg === 'config:ok' ? 1 : -1;
        refusal = told;
        if (given.debug) window.alert(JSON.stringify(told));
        finish();
      });
    });
  }

  function end(options, told) {
    const word = told.errMsg.slice(told.errMsg.indexOf(':') + 1);
    const tell = word === 'ok' ? options.success : word === 'cancel' ? options.cancel : options.fail;
    if (tell) tell(told);
    if (options.complete) options.complete(told);
  }

  function chooseWXPay(options) {
    if (state !== 1 || (settings.jsApiList || []).indexOf('chooseWXPay') < 0) {
      window.setTimeout(() => end(options, { errMsg: 'chooseWXPay:permission denied' }), 0);
      return;
    }
    bridge((weixin) => {
      const params = {
        appId: settings.appId,
        timeStamp: `${options.timestamp}`,
        nonceStr: options.nonceStr,
        package: options.package,
        paySign: options.paySign,
        signType: options.signType || 'SHA1',
      };
      weixin.invoke('getBrandWCPayRequest', params, (answer) => {
        end(options, { errMsg: errMsg('chooseWXPay', answer.err_msg) });
      });
    });
  }

  const wx = {
    config: config,
    ready: (tell) => {
      if (state !== 0) tell();
      else onReady.push(tell);
    },
    error: (tell) => {
      if (state < 0) tell(refusal);
      else onError.push(tell);
    },
    checkJsApi: (options) => {
      const checkResult = {};
      (options.jsApiList || []).forEach((name) => {
        checkResult[name] = name === 'chooseWXPay' || name === 'checkJsApi';
      });
      if (options.success) options.success({ errMsg: 'checkJsApi:ok', checkResult: checkResult });
    },
    chooseWXPay: chooseWXPay,
  };
  window.wx = wx;
  window.jWeixin = wx;
})(window);
