/**
 * Messages whose signature or plain text is known: published by WeChat or its official libraries, or computed once
 * with published keys. Each names its origin. Nothing here is a secret; every key is a test key.
 */

/** The test key printed in WeChat Pay v3, 如何生成签名 (doc 4012365342), for merchant 1900007291. */
export const MERCHANT_KEY_PEM = `-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCm2mb6q8gMKH/3
CNTbpJAIrbqiBiQGEOtjGcBrDYltsGynWgNscqT7WvfzU14FQbYcQUC5T4Wvva7m
i3fIp3OgX8VqMDNA0qebnr38Pe6kqiLyZgFpJPXlSKDyPyqhRbVTbXssvSMQeVKc
dXeVxoNNeoOlNFHgF/P0io6AmAVnz+hN8SiZKuOsth5/zUTLGvtkgxBcQooQrtXh
RcpLT798OyIb9xeJ2HO3xRtMv2+perEzb4gMibI74UBz+2QEbnkubPE+2jU2rRZu
dnNEz/BPOt3Qj/w2V6/G0VumGDh6+UeMU0jv4aupHztWITC4Akn0l7lBCNy3lgl8
VFaJnkIxAgMBAAECggEAYGL8aESB7NwciDWW2UdoWUsa7GxFtSdjAz2mFXGdeTsY
mVh7b9OOkRGM+Qio4LqEHDBp1mMk5E/cUJwy1zw8pGGO5nfvs7u9TT3XnHaefIs4
YvUgTYAneIuLRkXNN5rQU+CD7mVYczTSz0Vgjqo9wa1LjUz7G0xbBmJgTdMEFGJs
eJjy6AbJo0CGIwp6HJbTm4CmOUgXnnDAIbEGTIRImkZFH/rzneIeR7oZ77FVwxr1
CZB2gfRCov/yRPbw8vnryYkmvQ7D/ze3j5097vRg/MoDGBSdoOwcmo75vyofr0AS
zytMjmHYyifqkf5slPropSiJeGf4p/7gtKyF6dE/XQKBgQDVAlJ+4U5ZVGOuDc3+
sAhz8CTzgFNlq9vKuSoFK6hOz2L+cwj+E7NXGkOe2DsHHZNy2Xqxk7caKhPEp1z9
hhpMpyLVMoFt6CKemyoRBWDCQwLLwem9SZF/IAyovBkLiH36P42Jm26gUkNMKC/5
Zhtqxf6RZgRQzbVudJi47vIRCwKBgQDIh0+v27Oo+DM3fhObH4I1NrXpWOEGH7OQ
G1dEsMuFYF4hjGhg0kBEP3w9vVdl2+mRllZKTsx9oqjb8OibPLLIH8xsdbAB0WLf
JvjLu4wl/ILUzN1RI03dWnnv2EnEeQn6c3hizvrJ9wR5U4ue9RPVnQooJ0hZF1PU
uCL5fWK3MwKBgElReU/PAYbh80WP3t3Rfbdaa32dKBeQ5iCLR5lsA4zM+YgX1HqQ
EWTj126vgvHaDkyz6vWAoL/Sx+cirHFfXWIRDX5Q2hgYlQH+6qXdMgbrxeSYpHnQ
/tHBGFpkFELSAnrGsVMyOwvYBO4LzyeLK9i+ufcWJFoj1FVmsMLHDG8tAoGARdbi
iQQCoYG4DMarO2aQ6cmhN6EN1h0qY7EyBqlwaIZ0okiNfdMcMOjPc41DKCWcRmlO
qlihXcxN9TQFPzO3rH1urAOdBjUPs1qWYhZyrDQyuLyVBBJApyxAtajloDjrob+f
mQIvVDHk7ACN6xG+E7K6+9salnTKbJapD618uQMCgYBNy6XUvzLkP/A1U/UZdtcx
l8GwU/dturLxz4CyGbqDw4ubaYY2e13lnqHUqQgPtiSyH51nq3tdo8G0YAJdfkSv
KvnfslW91fyEBUKnkdW1o3/1UFU/wprZ7ixVL/F42A4xDu7OFE8EnweJOZ0jWceE
OdhCkaIGBCfRnlECRK8UyQ==
-----END PRIVATE KEY-----
`;

/** The body signed in the JSAPI example of doc 4012365336. */
export const JSAPI_BODY =
  '{"appid":"wxd678efh567hg6787","mchid":"1900007291","description":"Image形象店-深圳腾大-QQ公仔","out_trade_no":"1217752501201407033233368018","notify_url":"https://www.weixin.qq.com/wxpay/pay.php","amount":{"total":100,"currency":"CNY"},"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}';

/** Published, doc 4012365336: POST JSAPI order. */
export const V1_SIGNATURE =
  'jnks4dlrPw3ZX+ozVvSK39oa0t7OMBsg83BHAwd8BRdUFiVaQNTLTvci+wURgP1OQBbKYhFGvt7iqYpDSTQkp7Uq1sltaQKyncCyrA1g88m5bsKERQfPyT0ahSwKTYJ1CAn9QiJuSJRq1QsQs07eehbU/k9BCS51jTyc1Jpsi2H77HF9f/BnjXAOP3/sPObg6V5Ee4EzwLox684hhuMuIwHo7D8KFk3LIHOKDcNI4It1aCXydFWNpNK+SG86VUDe5kwoDpw4Ulqfu9z8OFDGbDs9TCxEv8iqQzbpxOlEVoOe2kalSYM5kApQb3nZcxdUtoE0liJGW3RGUNE0t4v01A==';

/** Published, doc 4012365334: GET refund query. */
export const V2_SIGNATURE =
  'Lc9VXxmeonkdV8Xk9tmigQFLhl0vRWTerdmoRu01aAnYwIrD/5nsSwE1WlmZGLRlAFTNQ3QsMa0+VRDlJp1Wp5p0nO8EK68b5sJBbjouxaFciIfq1zfDWWz+jqhcMoKXI1A6dPm1AW7D4d30WsMTNzp6g23OXakIsh9LO3lUmwvTuE0BY8ncf6tNGk4wKmvXwERd/ZpoQY3MAVKz+Nakwc+2XBmzT66KcUehU5kr4IvGa/lEU5RZb/q00zP9VLdBhC/jQSX3X1UcJLCtEc4gTmib4tnmAT+bHF/e17ZAuxDNcx6rqT8gNEXqaJGG+1OflMSTU2tpyG65G4dMKdFcoA==';

/** Published, doc 4012365339: JSAPI `paySign`. */
export const V3_SIGNATURE =
  'mI35pfNEQV6777ke/1T+LJLQDNTm7yeoUJH+j/adPGhmCCi0PbgkvYQTRcXH0uibcLVtvFLdGLpmoYO9FV6lBBsTAjuhh5YOvQi0e2g3e0yytitiNET9FEuqM0pjnKfRW4K6LIZDdbWJv9KhZUx3DrJa5TL7OJ7VdADVivxVySIlPVKjGwuCXzuXSJes0UcILgWQUMyha5/3nYofuHtS7r+KYyMuxD+oJ9VM1Qdxk4UIG59CP5Y3wtYIFybyF3bdu1caHTRRX+DLyMXyYA/IrTmiW01c4RPjpHBX5Dk1sZyY1zVsWNsvMHr2e1NTWtBxKJ+qk5N61J7caYoepHFaxw==';

/** Published, doc 4012365340: APP `sign`. */
export const V4_SIGNATURE =
  'gXx9KhTP6IooKV1SuG3OCGlBIgZbKtubCZvnau6khw1iffvNT28IzLbKmztq2xA/RCNbZa1XOsoiuVmAEeTZQicWfhv4P+O4oBRIrx0X9f3cnWFkMBU9alTWs0nyQ1N9fcILOTe0f4kxOhVh+/Xhn5hOiUK7Sz3XA1mcpa3R2NCWf/e+0ow/RDf15iTymOHgDrEkT/gedg/3E0iXfDX3mFicSZhrHESZDOTXcl9RzELREBUFznd/o2NQM99WcL86m23HY0cTy+QGWU4QDmNrbQ9ihmLW71qPb0Cx/d7EQvw/Kyx0A6s64ZQp3hHdcmiRcLnjVXrKCk7LShaCK+lS3Q==';

/** Computed with the published key: query with a query string. */
export const V5_SIGNATURE =
  'cVvdVujlEmASmAYpcmKXmIrlQualKxd87f8XZtnTeLCw3V7kZ1ST6YwX0kSLsqJeecZqmKJfd6ieRl/hRLZUodxXU1NzoTz1OXNh6TzBfcxU8xRNFbmPiEHwMJM7Jo52TYGk71MaCbvkPlUpUL6WhpmAgfC7jg/3IcA/UILbby4Nro0Nbq0An/DYEEp8vZMaags/5ed52JpGqxEOcTLIuqihy+Amy5z+t8m3a93YTRNDRi0W5b332UQBtrWRSwJOMU96Nof7hJC2MM71Y1bHB8YP8kBKaoDW7vEoNsEMVzkyp0pyjUHFWc6yaRVHE054z79S2koj3jSRbCiY+CaJzg==';

/** Computed with the published key: close. */
export const V6_SIGNATURE =
  'P07HGWiMaJOltVF73HduLS9BRHZgDNu9vz6W34MvVxtX6wF7x4DukPqSYsKm1rcJ0ZGbdNZnYy4uFR/ghWB2Jr+m4wHI61IkZMKLZSO6mTycv9hrr/GSGhNgCqme+yGjonosG6p5RN9dgn2O/1SL7k3uP6639dWs2mGwBDSd/TfGI1250II3UFxdH1wUTUyJx0nIaJKnsS8JcFkv/yL1HJlM7bg+xoMLQU500RB4DPn6hG3luz4XDobPc49gT6jBxNCviFaPEanGXhW3NKe3dKBvDAsAcSTbEwI1kF2BOx8B0QTtS7FKRZ246KHDjsy5t4GWXztLdAZWIVVVVZDZEQ==';

/** Computed with the published key: bill download. */
export const V7_SIGNATURE =
  'gccLtCHRHZC5yyygrm7vboJMrrQAhZjmIFNWGiWHS8JVDSkYRZgN4Vio2soBN5jgiQn+Y6HtiariS8XiA/29qR+CCKq7L8GZ1bXmPFDgdDCjKARcHgexsd57LznUDj+qBQ841y0kB13sLQJgV17wnutfAGgWOT8RFN+mt4ZI5jtFazzHN6gHJcsUQ71foQzsJhuCJy/EFpjvXsfnT6rscFjAcWZ3RGciem5ak5vVHmiJhOn4kDbKJe/7YgTOPYwb0sTJBpv4oJs56/yVRifS5Sg+cxE4JDgC3dkIs8lWyvDbdHAXcGnUWfpkNxYHuOGhePQFRxm/RwTue/EiajXpSw==';

/** Computed with the published key: upload, the meta text is the body. */
export const V8_SIGNATURE =
  'S6dDF2SgTmIMfBHaX8caFHi1h6PUC9IqzzXHfRvQGNw+HFe+cS4WH9vcJTs1lGzIIDIPp8JmiuGw/RjxNr5Hsc92SrcVrjCe90Sq/4DUMDds1r/T6+yNJcb6bYeQZMW5DcrzlLqWM7eUF9y5/tWy5VCIwfs9YjgQnsOmYP5CQJgp5IW9zP6yUOj1YLeybrMWPD5v/Y4XEQkyBFPncKVCBEVxXa1Sv3wz0ppEbYrZJV4I3yzbNYgeVQBUXN68zFCyehUsPKFVSdn8pHFpNQmR0uENF7PDHgTG3qNcsNjtpr4y6XpCO/dsy1uhlXODmAQQKsCWPctoWr0+QIOnBBLvAQ==';

/** Computed with the published key: `|` in an order number. */
export const V9_SIGNATURE =
  'pOltJ/WQre4ZWSEsmHjbllBV/CqaCqWyY/VrQDDF0eeBzgid+/ynP3vlUlJ6BaX6o38fbcGhol9EV9+xeapYnt4utlTr8UtmRsXFq/nEoeW77vAAXGjh7eDKLqs8JMg/QerTXWVraXwxxNINhv5/fa5UFil3xbINUXEz6Z1QptiCvs634dSYooJDeWkXdArvfzYlHfiQtT/pUIXtHx4yw+y4P11W+xOl+G6n8f+vJJ+4jGUfcAz92gu29ebAEzf7uYqGezRSzGu6J7HnUXYr0K4IXwtaKtKLD9DvKf54m0uD3wKkSLzalQqIua9vdgN3gRXg+d/1hFrOam9h/Rw08g==';

/** Published, doc 4013053420: the key of the answer example. */
export const V10_PUBLIC_KEY_PEM = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwXNI6sdlknHBnK8Fu2U6Cwor9qY747jP8KAfeBMeveEt1TqaHkLfaSD07trZLhGpfs8/AHqjhgSMO1O10YQWOrrJ4hjIWPKqxbgrYMkBQc+mwdiWp4W3ByCqxBRagCveCXRWCmuJYovl9H/bsDI0iGbpVtEOghJtfciisYSgxcLufUDTRkvwxjIBK1pCRjk33jJ5YTBWTHMRtMAOcFLNF6hdEYdX8SPsgHHeLZ5Lv2T/686w1xtgCHef/sd4uSfWmyzsalQdHG/e4IyYmrhx+O3VBoNDzE3nx23bFeV/RVNCG7cV6VhmYokJNHa/erIPkEmEFID6A5wQOXuxUkmJWwIDAQAB
-----END PUBLIC KEY-----
`;

/** Published, doc 4013053420. */
export const V10_SIGNATURE =
  'mfI1CPqvBrgcXfgXMFjdNIhBf27ACE2YyeWsWV9ZI7T7RU0vHvbQpu9Z32ogzc+k8ZC5n3kz7h70eWKjgqNdKQF0eRp8mVKlmfzMLBVHbssB9jEZEDXThOX1XFqX7s7ymia1hoHQxQagPGzkdWxtlZPZ4ZPvr1RiqkgAu6Is8MZgXXrRoBKqjmSdrP1N7uxzJ/cjfSiis9FiLjuADoqmQ1P7p2N876YPAol7Rn0+GswwAwxldbdLrmVSjfytfSBJFqTMHn4itojgxSWWN1byuckQt8hSTEv/Lg97QoeGniYP17T80pJeQyL3b+295FPHSO2AtvCgyIbKMZ0BALilAA==';

/** Published, wechatpay-go core/notify/notify_test.go. */
export const V11_BODY =
  '{"id":"3119dfba-e649-5eec-ab1e-3412bc4d2e17","create_time":"2021-06-24T16:37:26+08:00","resource_type":"encrypt-resource","event_type":"PAYSCORE.USER_OPEN_SERVICE","summary":"签约成功","resource":{"original_type":"payscore","algorithm":"AEAD_AES_256_GCM","ciphertext":"YDS3lKPaC4Y52Gf3uhft5qUBlIa8b428AWTtTauHQfQrRw+X1WpiuHIDy0vo1Vd6VEq67aVyqPdDYMkRVSDaZL3iZttevRMOoPKMifozg6XPWjIZumks/GpT48lI4NizyeaqLBokNebthah3o1H76qSlO9NkDjp9bzmKLEYYH9TEklFUpsvPqOTOcgSLgh21YJXYR7dEBXFgRLiNIKRgO5JdXh1hccRUAlyVWxE54PXpnQ==","associated_data":"payscore","nonce":"Kj7QIyUiYx1q"}}';

/** Published, wechatpay-go core/notify/notify_test.go. */
export const V11_SIGNATURE =
  'tJHIiIS9eB2hAYstmAmbbD3ZE5LiIm/Ug5tuL4fC0YOFRWIHV39UFIZXC0e9Wl6lBu6sKvkqDkzpqzBsVHyXFlbYZTOQrVdG4b6LfTnK4mikv9++ixJMd3vTf2yCqvBkh98zs3Ds5zsYQakzbcwhmw4fMJs4nPLws28H0UW9FjDR//rxELLwXvV1VEA1IBLX70xptjL8hrfUjEE8kkry6yNJTHZRU8CAc7qHli2Ng1V1qb9ARbK8A3ThmFmPQvRGrapI/jS2laKKgYUmfdEdkNO6B2Cke5e8VTxY406ArAmQ90GAihDwIcb16TQMnzCMBoutnwZKNiKRACrFmtxw2Q==';

/** Published, wechatpay-go core/notify/notify_test.go: the key of certificate D7CE59D1F522D701. */
export const V11_PUBLIC_KEY_PEM = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2VCTd91fnUn73Xy9DLvt
/V62TVxRTEEstVdeRaZ3B3leO0pldE806mXO4RwdHXagHQ4vGeZN0yqm++rDsGK+
U3AH7kejyD2pXshNP9Cq5YwbptiLGtjcquw4HNxJQUOmDeJf2vg6byms9RUipiq4
SzbJKqJFlUpbuIPDpSpWz10PYmyCNeDGUUK65E5h2B834uxl1zNLYQCrkdBzb8oU
xwYeP5a2DNxmjL5lsJML7DGr5znsevnoqGRwTm9fxCGfy8wus7hwKz6clt3Whmmd
a7UAdb1c08hEQFVRbF14AR73xbnd8N0obCWJPCbzMCtkaSef4FdEEgEXJiw0VAJT
8wIDAQAB
-----END PUBLIC KEY-----
`;

/** Published, wechatpay-java: a platform certificate as `/v3/certificates` returns it. */
export const V13_CIPHERTEXT =
  'Mr/AxbvY+WL9hKlD5nIa03LOMPpn5f+CWeNxE4ujl0f5gXZ9XLJ9CldkArCOTsbU62XgKnTc3YvRMZQ7wCmE2fzwmAenAySTYsPms72JhggPWfdqVxri9YD5wBYKn8Ck0Fc5JIiVw9WlN2oxHBz83mRVsjoTGC5+cX1CdYqKuZ8pkvi0aCJIq07ZC8MHoTowUz+4jYJy9XeKqip83Z7BmUYxsePpNM+HtihBqTJIUYXJfX7Col5X0ACsApRoU9l6swfW/kzvqNpDJavhDBGasLrr5822+Fk5nVkcTi53f8Wbue7ODWjJxj1yhRYcxFCvXLtpYNB+Qa1aXtrBSdBdBI2p7o+6Imn+auHLBCzkrZqF/yd+d4vTn4tqHPLUj89XcHsMf96uBo3T/HQV8LEDeIO+6YvOK9FrIDYsvp+imN4n/mnF7eJKo9mpN/QqWJiawrFpAmMMxFKBjIdpgMnVUl3Z11RcWKyfOJ3kcmItTWcnZFNyDgR9cS0aU6QPlefa3uUW89uzBuHjcFdDl43yU3LE4qZnHLDcDgx4qt0OFCLiy51GXtEpyYs5k99YJBvKK+RyIs4Yc1/smBmClQUhxW+8bsPNOcXfDvH2yX4YzESoO4TV0RqiCgnsSd4zIFyJPiMKIGzVHiw6Kg0eGCmB4mGHEEZCQ0eN3SSPO0QVjjtBYfgXDZfVHSaAB8PjWBVNFimoViZZQrwT6Ygo0LU0Dd8+F5aHFYr4OPHPslr3hrgutEYXDTv1vTA6ABJGqknJ9Y2vtyWpy7aIwxc0kQq/1ezjs+RMVL/LRpGDnbx1/CGPDjZhYgZypKa55+PDhoaQxqkF3xCLz2DGoNHZYmFqxzAOsAK0vJZw4VcAk6ssbA6YIaMuiemEpxfLC9ZiXtRqsX9s+GWjjtA8JywOFMO+NKZm9BH/E5YNg2DDD3sHG9Mciwn7yJ6sdf8h2lAWlEExAOeiBNyshOHAQ0/S+x1ncWNiqY+Uh5n0rtonvePV2MsxVlEWR3AVHn1abcEWkzivd+G5kg7LYO0goqzGClcQfnFfZdO6KwcMXsBCnm9A1Bl4+k5LLokTIYH5/36SRIZ9j0CHGD77BQLE7x8AlNsoFS2m263tLLq78TFqvZUTIZIQcVIl+NInscS3xQbA38qqFqutCWIwoF1azuJ7woiJyMvnS3xzIpNzP+rzJ8VDXxjLjpEUBOC9WDs74+QMtsAdmh6g0KDclHEk8WJ4P2bnso4z3VCGoDT5X/0bS1C+jMZMKaOCNB21FZ08qgUHmKeDeg8ylENu+mh2Y/AaEDSGkGBHIfFbhMYO3uRxhk9hldiHEnHgdkXiVAAUWk/IhtmGijibO/L76vB74Xpes973uK+2iFKgNBk8qTLLZZnuWbcMQuA6VsFULRb/C+q9B21YuAWPMzvgBwr4EX2m/OpF5w8Q0HL7v1H5H0mIGJbrjnklUPoBYrw30W3uk7yF0KE6sfMukafFx0S9rBOL0RykGDPwC0lHSNySkXDeM5XvDJ+dtHK+RDwhJR+azfrWAHGMtZcQ+YVamjWVmHxXM03j3GeCXgqae1upwHzkPL5OwojcQ5MQi3Kv/1xtwY0cRN/yeZTOsXfujtqhkJj/Vltby4lnW4SCj4LjWQF19BY6zhzF4yybBA8bhhtoNP/zx8QkhHAkIROkK2ZVgfocCAPvfQ+vSrsIBO+L5cmg6mzFn4g84lsHscgXnszIlzUrzx/4Tam0uwuS9J1gddZ0I0QUt9SJzfsoBCTU0OgNMUtXKS5HvgXe7abexMtFH5eulOsAuFZkQ5LYJa/m4yHFInXzL/t3hjdTi2NmxUufvYzwIyffRTu5vS9vjscARD9lUQDHFQ/xgWe1i8EkRlrSfjlXt00+4//h2bcJKyTBT3IXwvKNsuY29V9/vU3HkvWKZ99zpSlmcZRuBa1BHbyPEvc0NlqIIoKidxqUvOR64MzudHhAjgWFP+IXojfhS3Gj9OJhBL7s';

/** A platform key made for these tests. */
export const PLATFORM_KEY_PEM = `-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCZXWqAJ/RdujoF
c0vtm2MAW5vUJdU51Kxz4RhfxhjpuyAzKCFUgLdnHSoUbBkrwN0u7pJggUigUtsn
xIG2fyZZZuej/EFVftXPxB5HWmuQWri8/0159NZ5GSjiRT+nl7aP57lMU55h2Nki
pYTS2l6KqOhRA5btk+SG/PDnMUVL88OM/A5LSVtZ/hG5eQnZJdAktlX8GMYk7NEr
3NaxMuhfR0FSAfaSuqT08Ei6Ge1oc/uD3vLARwnAShOuiaw/TZwGDXDHHcEdbSTG
tFWraZz4NPIqIJhgYBoqb0tlvK0gaJOwJl4S0sb9iKZEA6be/Eac7FrqLJiAUHYN
AWfEaS/TAgMBAAECggEAA2am7fX03VSROihhuVXbeYPj423TWgJKsLx/0IqRaDLW
IUxKhkKJzqeUP0+xCd9aXagSEZchsoHOils5OoAnVuQz+YGmkUF2zFy1BIVkzUFg
chCB+f+2od4voepB4cg41t10pn9UNnybPsFyPfAfGJlrosr0QIspuN9Iba1nXqpz
E3hx0zlrN+zCY4zHyuQ9tZIOq6DkJWgERzH+A0rpQuPw6m3OWRbUQpXDXFXoOQrF
z4TpnUuREWIby/gi6IVA7perf5EQsTeSMwY2CPWnjpxILl7uZdOZcaGWc4XZ1ZP7
tTB5bRA5MF5TKx3GwwXpeLomLZ5uCOu2zaLx4QKWQQKBgQDMiUHfGVYH7P46XTyG
nW9AMDEe+AZUIxLqkWe2BSYFWFGQUfvdkh8lPl8b+XyJZcfViQeBoAUniJQBao25
de955AcS/AmfqhyAlpGOibHp68S3iGeELdC0BWfjZEuaAQxRE0/R32sC4kk/S5Ss
gJY9f0l8PLs62V0/f9hmv0lCtwKBgQC/9BNwT3EERnxhZ6f152RBMSfunb/QQIff
Of+37panSidIEaD4UPU2qB50QCgYkeFt6evo/JXIc0bGCfwlZrJtjQQeg9DqFzPb
KIxHgz163qsoUJ3vMMyXe90d1A9eJOlrvevt3hg4fnH6rgzxxdqs0der/PQ+w8PR
ytsdckDvxQKBgApDxSuGIPwq16NkNHppAkFNadmtBtxIGlXtUDAhWAQip40/oA1B
nRCIbcuAnNBkbD/6LYdC2Z9fSlY727r4ATmzyOsZ/P2nUuDdLZbisCwWKfwv+0n1
5qhyMQGHcgfbj5uuBW558OvnIVfs2hxCI8gYUD7M6XSNnhFmwBx/8xRHAoGBAKEP
HaRVs8Fflwtvmvl0XqVoplXLnN8S1i6SDqN5GIVjbdRFnmfcHfPvWiY2kq4S8TB1
XxFNpivbtZ2DUULciYfsE3G7LnbMYyFXQ2TZlKNc5AXeprXEn1XXgy98+CwJEqXp
ZGVgvbfhOKealJfkaFgrdigEBbgIMGz+JZ3ueNf1AoGBAMlOW3h8q/pJBUy+3e1m
sbwnTzTIMHrQ/0bZYKP9k2HDT7LHpAQV5H9djkQkG79Rg1l9/JW6DLpENQqjsU8D
WEyNwkOfH13ekUz74M2Ib1pit5GEk3ZBU+5aIu/CAiM5j6gxPjyPuIq0NYY72RIq
DUC/aUNArykBCwXmPjjfAAtj
-----END PRIVATE KEY-----
`;

/** Its public half. */
export const PLATFORM_PUBLIC_KEY_PEM = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAmV1qgCf0Xbo6BXNL7Ztj
AFub1CXVOdSsc+EYX8YY6bsgMyghVIC3Zx0qFGwZK8DdLu6SYIFIoFLbJ8SBtn8m
WWbno/xBVX7Vz8QeR1prkFq4vP9NefTWeRko4kU/p5e2j+e5TFOeYdjZIqWE0tpe
iqjoUQOW7ZPkhvzw5zFFS/PDjPwOS0lbWf4RuXkJ2SXQJLZV/BjGJOzRK9zWsTLo
X0dBUgH2krqk9PBIuhntaHP7g97ywEcJwEoTromsP02cBg1wxx3BHW0kxrRVq2mc
+DTyKiCYYGAaKm9LZbytIGiTsCZeEtLG/YimRAOm3vxGnOxa6iyYgFB2DQFnxGkv
0wIDAQAB
-----END PUBLIC KEY-----
`;

/** Computed with the test platform key: a 200 answer. */
export const V14_SIGNATURE =
  'j5LTvPT8Oo8bn3F43GJGfeisdWCB58Enoemit/KGRo5IbNbiCjfsuHaL4vb5IVqwt2/e7PfeYBLEMWg2J3wkigwnZ6KKekXiUGMBxZ8SMfpptlJgpHRAAM6+TTnRstqA2NxF+Kr1TdfX2l8pKjR82BiAlEwlpIp5r1Kvk3Z3OI0X3t7ovo2mdiOtQX5xjlRI/5f/bF7A/flMffKdHc34JnELHR5HfBEWBmFpaEZIaOy/fj7IguwRrx8ZRloJkmjKRBKMx3qrWaPYMk+DKMaJMC4k6yzLj0w+KENil+InSdQ1Yt8P8/FbMXB7aBHTI8Js1Y3qe5kBiqMEWzyxU/66Jg==';

/** Computed with the test platform key: a 204 answer. */
export const V15_SIGNATURE =
  'AaZzij6u2brEQqWszyc9okILOSbgTNTVZP2GD/9BZg8+ya0WciAgHp914s2NSwNi0iIbtovq4YYjKQJcgn1fMmSScNyv95iZ346z7gdGfruA8+TO6Of6CBsDJqodYO+tPKAhAmp7sJd+dj5mNiet8atsc5LM8qa3pkbTN571PAbuBxo/cADlKWmWZS3B+5cuCKHYAWEGvIQERs6uh8/cCTxhnYA/SrwraSdl5Xl0cAy44j3lu485vFcmwtsmWiqZ95sRQFIZ4xDKGn9nSqIiZq3Kxfsc/7VqQn7jC0qvKODtpS2h+CYLigOy9G6JU9qMiEgFd32Rzi3FUyHTJhWE6g==';

/** Computed with the test platform key: a body that does not survive parsing and serialising. */
export const V16_BODY = String.raw`{"code_url": "weixin:\/\/wxpay\/bizpayurl?pr=JyC91EIz1","desc":"\u652f\u4ed8"}`;

/** Over the raw bytes of V16_BODY. */
export const V16_SIGNATURE =
  'JXext29tlpPffiMnqcijKAO7vN/MmyUCCS0sjt/sB9KPJ1OSpxxvXrgkHmqwgjFF3gQl64RdMwRQnU3577ivSOrcrQcq4ylHkmkqnUOR+z/V0vn9XRvWZwK0xrsT7OGsbHM17bDRGDuvD5/tgGABzVcssmV1DdvdqDNqqA22GqCiVFvctsT5akA9xpwNQ38Qwn/OyF8e9y/cU1nQNAsSaAoGkB8tjd+ZmuyaC3WUht7rla7j0tO99OU4HX5N+7BBDQ8jbvM31pkfFjTiPT+PUURzpnYA4eZfDGedhrEMSaPrAbcFlTRwXHRXk+ml7L6B7F1IJ4udkNNN8rdjo1UlmA==';

/** A payment notification sealed with wechatpay-java’s published APIv3 test key. */
export const V17_BODY =
  '{"id":"3119dfba-e649-5eec-ab1e-3412bc4d2e17","create_time":"2026-09-10T08:26:40+08:00","resource_type":"encrypt-resource","event_type":"TRANSACTION.SUCCESS","summary":"支付成功","resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM","ciphertext":"6jIU9EQpY+m0lWb1qFAgeDWihrDm99TAP7RggeVKKKIhI7KQ8fh4fHYpo+ool/EfcOQOi5LZHoCyjCFaiV3O2lpOwx/SMQHdEO3vr9LaJcCbAd8vKJDcDsdxEQPDwqgkATaIWC7xqMrIzR2yPDh96XIABC3ib8S/hGcfdFg+QAuXMVGlxDj8IbQnDij9HJA9Oh1Tom/S63L3ZTmvrs/KTbvV1zRdVCISKSEneMBzjkA3ZZsY14+X9lWgD94V7jxOauu5OagoFNN0ebaGVvMovLBOYMk6Orpg9bSQlB5HfHFd1s70SPRd242Ffi78pXzyqKeUiopuh9tX5fghjxS94KtbI2L39rb9GrJ49gNVCEZlbBVXNj2O0BnwEDND32HRhbqFGxzGe1P8q5okXMsqBD45Jif9bm1oLajb4h572hoZKJ99CGrZB/yiOpZGQyAUDL6Gcf4oGBQOauDw7A349blIkbEMrx8IlRIsmZQbAGe+otj6NcHXp2xNGi751G6kEtrg08LsuJLQPlotLvofTsvULCMpZdQu3vRPJkFMPW+VopmkAWIwlxwxfj48jcfVn1dfNNa7BFa/2wciXlaV","associated_data":"transaction","nonce":"yd92bNzgnjSB"}}';

/** Computed with the test platform key. */
export const V17_SIGNATURE =
  'LbuMiP9NgSy0f+b6mmcZ4eH3MZehUq9krm6cl7R1LEWcZVJxBAVCEaoT6irPY58ciAZkCE5SmIQt5HDKyEroOpVe3Bkt4YGYEAWCfb2gJLQTcqqq4NgM2oXr/gwMe+SEc5HGLV7P0RYTN1zDRjVKMj13paGFNjm6UF8e9aAak8IEu0Wx/eCNVGJXl5XjgkI/OGhZxWBxVTRtZxa2DxtgFwxr4Ikjp60SCZOMKMw0iShSb9PIqpz+luAteyfnnlhs6Mnpl6HbjYSLwLXNAeiQdIMIVfQyj4cun0Lwi8NsnC0cIny4necv4Y296scxpHYmQgCJYQjDZZf61AuIAjCkwg==';

/** What V17_BODY decrypts to. */
export const V17_PLAINTEXT =
  '{"mchid":"1900007291","appid":"wxd678efh567hg6787","out_trade_no":"1217752501201407033233368018","transaction_id":"4200002137202609101234567890","trade_type":"JSAPI","trade_state":"SUCCESS","trade_state_desc":"支付成功","bank_type":"OTHERS","attach":"","success_time":"2026-09-10T08:26:40+08:00","payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"amount":{"total":100,"payer_total":100,"currency":"CNY","payer_currency":"CNY"}}';

/** A refund resource sealed with the same key; nonce fAKcOVTdU4VI, associated data `refund`. */
export const V18_CIPHERTEXT =
  'FqQe0qeZs813Ll7xfDyIKqKG070oGwsu3prOfKgVfQdXOLtpPAySp0pmviY1d0BcgQPgu0Mx8wkW+cDgoO6OFc6Xw7FLakeKY0PmjDbk5Gd/1McBHOLmD3EzQEpbo5qHxwk/nzHa/VkzVbV2dZbnjNO9I7ZHsSU/H3DRyxurpVjQLxwZ+sgsxRJi/vL8Nw86xj9c4cOLAdk2YlC0ZRyRpT904SajVtoj6eMWGEoWqWFzKehL1h1qio8CS4UTlLQ9EqAagKNEwTU4VSc77LbffrGz65vO8vfNosfDjre5RmFJn78pNFHRhX+B6JsaNrLFhZf66y3LwA1KgQfoapMLljB37QIvbcPmP1SqBt4yRmQ/ZKnADqohtXqBJ1z7VuOXrGxXyfjkA+LRyRDZkB6Lb4KCQgSfNw8efe65vFOmet48QYkSVP4/M818IeetzkXVhnm//vjMzgaq1daSuHrOgxwKmtXKRbSSBtpTGMEHs7ztVz315G7QiQDVz7pslYFe1rt0GkMlNowxwS5XRPVZFv801cusgfX9/w==';

/** What V18_CIPHERTEXT decrypts to. */
export const V18_PLAINTEXT =
  '{"mchid":"1900007291","out_trade_no":"1217752501201407033233368018","transaction_id":"4200002137202609101234567890","out_refund_no":"R1217752501201407033233368018","refund_id":"50310108072026091004276947708","refund_status":"SUCCESS","success_time":"2026-09-10T08:26:40+08:00","amount":{"total":100,"refund":30,"payer_total":100,"payer_refund":30},"user_received_account":"支付用户零钱"}';

/** A real probe, wechatpay-java issue 319. */
export const V19_SIGNATURE =
  'WECHATPAY/SIGNTEST/2sWfO+6tVVsZonOXBXHOrle0TugJ31jDV3iGpjFchMYEyEZ48LxAmfW2gMXkP7Ce1OLORt7wHxkgBwTBHn9/JpPBwDFjiHMhSQCEYkk/gIXdO1E7dz6fnMmMqmI2urSR8WDWAG0jdIGFbnykjVFrQa7E1RhNNEIz476tmfj5Zp7W/kE1q7cxZIPumELjwfZHXybvrFMuYNEcf8Eq50V+I1e5onuIAa3RIuIIy30Kl2RANQJx1inQ0SirJjFtONAcPnLDWpeJuVCfRPLXE4ra5qsSwxbUDvnCAbTkz4L1mSZ/zyv80hd9t8upwSLbLiYJWV97N04Pb74zCg==';

/** Encrypted to the published merchant key. */
export const V20_CIPHERTEXT =
  'JZwRZjjKCEf0klWUJiqXkw1xA5xhbd+K3AFryn0437yKQlam3bKuSRAVTvnv9R3GhrgRNyw49dJQq09rXG7iCuTSJh38Zs2FxJbhViJztjVey+HaEkF9YTSsETyFSYGn+f3WwqNKixlkAxyI2z5WJxsQOPOu1kyw61TqDmCdFblNtKyB9fq9UD8YNRZswrxgPy5wl/0EYXm95nJIR6n0qInowfRs4O/uUF+zMlPODJfmT9NAd7UqP4alJhKUpc3ktkiCGADnd8tEm1YIMJ3uYAOzQzLNCIg0in+vu4tA6uVbL6dLYlEY7tJf7xf1lztM2ARidbS7rOUjBGS9lXERuQ==';

/** A day's bill; column names from WeChat Pay v3, 交易账单 (doc 4013071227), one payment and one refund. */
export const V21_BILL = `\ufeff${[
  '交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注',
  '`2026-09-10 08:26:40,`wxd678efh567hg6787,`1900007291,`0,`,`4200002137202609101234567890,`1217752501201407033233368018,`oUpF8uMuAJO_M2pxb1Q9zNjWeS6o,`JSAPI,`SUCCESS,`OTHERS,`CNY,`1.00,`0.00,`0,`0,`0.00,`0.00,`,`,`Image形象店-深圳腾大-QQ公仔,`,`0.00600,`0.60%,`1.00,`0.00,`',
  '`2026-09-10 09:00:00,`wxd678efh567hg6787,`1900007291,`0,`,`4200002137202609101234567890,`1217752501201407033233368018,`oUpF8uMuAJO_M2pxb1Q9zNjWeS6o,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`50310108072026091004276947708,`R1217752501201407033233368018,`0.30,`0.00,`ORIGINAL,`SUCCESS,`Image形象店-深圳腾大-QQ公仔,`,`-0.00180,`0.60%,`0.00,`0.30,`',
  '总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额',
  '`2,`1.00,`0.30,`0.00,`0.00420,`1.00,`0.30',
]
  .map((line) => `${line}\r\n`)
  .join('')}`;
