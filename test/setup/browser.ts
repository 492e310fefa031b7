// The browser of the tests is the one the scripts find.
export { launchBrowser } from '../../scripts/browser.ts';
