// The simulator's page for people, the bridge script, and the cookie that says whose phone this browser is. Plain files, no build.

import { readFileSync } from 'node:fs';
import { bridgeScript } from './bridge_script.ts';
import { type Answer, type Door, type Family, redirect } from './http.ts';
import { userOf } from './platform.ts';

function file(name: string, type: string): Door {
  return (): Answer => ({
    status: 200,
    headers: { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-store' },
    body: readFileSync(new URL(`./page/${name}`, import.meta.url)),
  });
}

/** Chooses the user this browser acts as at the authorise page. */
const become: Door = (platform, call) => {
  const user = userOf(platform, call.query.get('openid') ?? '');
  const cookies: Record<string, string> = user
    ? { 'Set-Cookie': `_sim_openid=${encodeURIComponent(user.openid)}; Path=/; SameSite=Lax` }
    : {};
  return redirect('/_sim/', cookies);
};

const script: Door = (platform, call) => ({
  status: 200,
  headers: { 'Content-Type': 'text/javascript; charset=utf-8', 'Cache-Control': 'no-store' },
  body: bridgeScript(platform.addresses.url, Object.fromEntries(call.query)),
});

/** The page's own scripts, which import one another. */
const modules = ['page.js', 'dom.js', 'talk.js', 'phone.js', 'hand.js', 'panels.js'];

export const pages: Family = {
  name: 'pages',
  logged: false,
  doors: {
    '/': () => redirect('/_sim/'),
    '/_sim/': file('index.html', 'text/html'),
    '/_sim/page.css': file('page.css', 'text/css'),
    ...Object.fromEntries(modules.map((name) => [`/_sim/${name}`, file(name, 'text/javascript')])),
    '/_sim/bridge.js': script,
    '/open/js/jweixin-1.6.0.js': file('jweixin.js', 'text/javascript'),
    '/_sim/as': become,
  },
};
