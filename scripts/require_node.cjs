// Loaded before every script: an older Node would stop at the first TypeScript file with a stack trace nobody
// understands. It speaks in one line and refuses; it must stay plain enough for any Node to read.
var need = [24, 7];
var have = process.versions.node.split('.').map(Number);
if (have[0] < need[0] || (have[0] === need[0] && have[1] < need[1])) {
  console.error(
    'Guitai needs Node ' +
      need.join('.') +
      ' or newer, this is ' +
      process.versions.node +
      '. `npm ci` brings one along: run it without --ignore-scripts, then start this through `npm run`.',
  );
  process.exit(1);
}
