// SRTP with AES_CM_128_HMAC_SHA1_80 (RFC 3711, RFC 4568) for mediauac, by OpenSSL's libcrypto.
#include <openssl/evp.h>
#include <openssl/hmac.h>
#define SRTP_TAG 10
typedef struct { EVP_CIPHER_CTX *cipher; HMAC_CTX *mac; uint8_t salt[14]; } srtp_t;
// 4.3: what a label stands for, of a master key and salt
static void srtp_derive(const uint8_t *master, int label, uint8_t *out, int n) {
  uint8_t iv[16] = {0}, zero[32] = {0}; memcpy(iv, master + 16, 14); iv[7] ^= label;
  EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new(); int l; EVP_EncryptInit_ex(x, EVP_aes_128_ctr(), NULL, master, iv); EVP_EncryptUpdate(x, out, &l, zero, n); EVP_CIPHER_CTX_free(x);
}
static void srtp_init(srtp_t *s, const uint8_t *master) {
  uint8_t key[16], auth[20]; srtp_derive(master, 0, key, 16); srtp_derive(master, 1, auth, 20); srtp_derive(master, 2, s->salt, 14);
  s->cipher = EVP_CIPHER_CTX_new(); EVP_EncryptInit_ex(s->cipher, EVP_aes_128_ctr(), NULL, key, NULL);
  s->mac = HMAC_CTX_new(); HMAC_Init_ex(s->mac, auth, 20, EVP_sha1(), NULL);
}
static void srtp_tag(srtp_t *s, const uint8_t *p, int n, uint32_t roc, uint8_t *tag) { uint8_t all[20]; unsigned l; uint32_t r = htonl(roc); HMAC_Init_ex(s->mac, NULL, 0, NULL, NULL); HMAC_Update(s->mac, p, n); HMAC_Update(s->mac, (uint8_t *)&r, 4); HMAC_Final(s->mac, all, &l); memcpy(tag, all, SRTP_TAG); }
// seals a packet of n bytes with a header of 12 in place; its new length
static int srtp_seal(srtp_t *s, uint8_t *p, int n, uint32_t roc) {
  uint8_t iv[16] = {0}; memcpy(iv, s->salt, 14); for (int k = 0; k < 4; k++) { iv[4 + k] ^= p[8 + k]; iv[8 + k] ^= roc >> (24 - 8 * k); } iv[12] ^= p[2]; iv[13] ^= p[3];
  int l; EVP_EncryptInit_ex(s->cipher, NULL, NULL, NULL, iv); EVP_EncryptUpdate(s->cipher, p + 12, &l, p + 12, n - 12); srtp_tag(s, p, n, roc, p + n); return n + SRTP_TAG;
}
// whether a packet was sealed with this key
static int srtp_is_sealed(srtp_t *s, const uint8_t *p, int n, uint32_t roc) { uint8_t tag[SRTP_TAG]; if (n < 12 + SRTP_TAG) return 0; srtp_tag(s, p, n - SRTP_TAG, roc, tag); return !memcmp(tag, p + n - SRTP_TAG, SRTP_TAG); }
