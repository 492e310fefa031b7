// A second look at browser code, without types, which weigh nothing there: what it imports at any distance.
const { options } = require('./.dependency-cruiser.cjs');

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'browser-code-stays-light',
      comment: 'Nothing that browser code imports, through however many modules, brings in more of lib.',
      severity: 'error',
      from: { path: '\\.client\\.tsx?$' },
      to: { path: '^(lib|generated)/', pathNot: '^lib/(states|money)\\.ts$', reachable: true },
    },
  ],
  options: { ...options, tsPreCompilationDeps: false },
};
