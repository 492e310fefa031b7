// Built in a temporary folder outside the project, so that nothing of the project's own gets into it; its
// node_modules is a link to the project's, which the bundler follows only below its root.
/** @type {import('next').NextConfig} */
export default { poweredByHeader: false, turbopack: { root: '/' }, outputFileTracingRoot: '/' };
