// The floor of a pay page: one HTML document with one button and the few lines that make it answer, nothing else.
const page = `<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>支付</title>
<main id="pay" data-testid="pay-state" data-state="waiting_for_bridge">
<h1>¥19.81</h1>
<button id="pay-button" data-testid="pay-button">立即支付</button>
</main>
<script>
var pay = document.getElementById('pay');
document.getElementById('pay-button').addEventListener('click', function () {
  pay.setAttribute('data-state', 'invoking');
  WeixinJSBridge.invoke('getBrandWCPayRequest', {}, function () {});
});
function ready() { pay.setAttribute('data-state', 'ready'); }
if (window.WeixinJSBridge) ready();
else document.addEventListener('WeixinJSBridgeReady', ready);
</script>
</html>
`;

export const dynamic = 'force-dynamic';

export function GET() {
  return new Response(page, {
    headers: { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' },
  });
}
