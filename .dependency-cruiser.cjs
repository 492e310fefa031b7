// The walls between the rooms, in the words of dependency-cruiser. scripts/walls.ts runs it and also makes sure that
// it looked at every module there is.

const ours = '^(app|lib|simulator|scripts|test)/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two modules that need each other are one module, or miss a third.',
      severity: 'error',
      from: { path: ours },
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'An import that leads nowhere hides from every other rule.',
      severity: 'error',
      from: { path: ours },
      to: { couldNotResolve: true },
    },
    {
      name: 'protocol-knows-nobody',
      comment:
        'lib/wechat is pure: Node’s own modules and the XML parser, nothing of ours, no Next, no database.',
      severity: 'error',
      from: { path: '^lib/wechat/' },
      to: { pathNot: ['^lib/wechat/', '^node_modules/fast-xml-parser/'], dependencyTypesNot: ['core'] },
    },
    {
      name: 'protocol-has-one-door',
      comment: 'From outside, lib/wechat is met through its index alone.',
      severity: 'error',
      from: { pathNot: '^(lib/wechat|test)/' },
      to: { path: '^lib/wechat/', pathNot: '^lib/wechat/index\\.ts$' },
    },
    {
      name: 'only-db-opens-prisma',
      comment: 'Everything else receives a Db and cannot make one.',
      severity: 'error',
      from: { pathNot: '^(lib/db\\.ts$|generated/|test/|scripts/schema_engine\\.ts$)' },
      to: { path: '^(generated/prisma/|node_modules/@prisma/|node_modules/\\.prisma/)' },
    },
    {
      name: 'lib-never-imports-app',
      comment: 'The business does not know who asks.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(app|simulator|scripts|test)/' },
    },
    {
      name: 'app-touches-no-database-and-no-protocol',
      comment: 'A route reads, asks lib, answers.',
      severity: 'error',
      from: { path: '^app/' },
      to: { path: '^(lib/db\\.ts$|lib/wechat/|generated/prisma/|node_modules/(@prisma|pg|pg-boss)/)' },
    },
    {
      name: 'app-keeps-to-its-rooms',
      comment: 'The app is shipped; scripts, tests and simulator are not part of it.',
      severity: 'error',
      from: { path: '^app/' },
      to: { path: '^(simulator|scripts|test)/' },
    },
    {
      name: 'browser-code-is-light',
      comment: 'What runs in the browser takes of lib only states and money; types cost nothing.',
      severity: 'error',
      from: { path: '\\.client\\.tsx?$' },
      to: {
        path: '^(lib|generated|simulator|scripts)/',
        pathNot: '^lib/(states|money)\\.ts$',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'simulator-is-a-stranger',
      comment: 'The simulator shares no code with those it plays against.',
      severity: 'error',
      from: { path: '^simulator/' },
      to: { path: '^(app|lib|scripts|test|generated)/' },
    },
    {
      name: 'nobody-knows-the-simulator',
      comment: 'It is met over HTTP; only tests may start it in their own process.',
      severity: 'error',
      from: { path: '^(app|lib|scripts)/' },
      to: { path: '^simulator/' },
    },
    {
      name: 'tests-are-not-shipped',
      severity: 'error',
      from: { path: '^(app|lib|scripts|simulator)/' },
      to: { path: '^test/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(test/foreign|\\.next|\\.data)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: 'specify',
    preserveSymlinks: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
