// The API v3 route by which a merchant fetches the platform's certificates, sealed under its APIv3 key. A merchant
// that knows the platform by its public key has none.

import { plain, RefusalV3, type Route } from './envelope_v3.ts';
import { platformCertificate, sealed } from './sign_v3.ts';
import { beijingIso } from './time.ts';
import { VALIDITY } from './x509.ts';

export const CERTIFICATE_ROUTES: Route[] = [
  {
    method: 'GET',
    path: /^\/v3\/certificates$/,
    handle(platform, _call, { merchant }) {
      if (merchant.mode === 'public_key') {
        throw new RefusalV3(
          404,
          'RESOURCE_NOT_EXISTS',
          '无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。',
          `${merchant.mch_id} is in the mode public_key`,
        );
      }
      const { serial, cert_pem } = platformCertificate(platform);
      const nonce = platform.ids.hex(12);
      return plain(200, {
        data: [
          {
            serial_no: serial,
            effective_time: beijingIso(VALIDITY.from_ms),
            expire_time: beijingIso(VALIDITY.until_ms),
            encrypt_certificate: {
              algorithm: 'AEAD_AES_256_GCM',
              nonce,
              associated_data: 'certificate',
              ciphertext: sealed(cert_pem, merchant.api_v3_key, nonce, 'certificate'),
            },
          },
        ],
      });
    },
  },
];
