// OpenSSL, with the macros Swift cannot import as functions.
#pragma once
// SHA-256 by its plain state, deprecated in favour of EVP: see `copenssl_hmac`.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

static inline long copenssl_set_min_tls_1_2(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
static inline long copenssl_set_server_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name);
}
// Reasons of errors are macros over functions; an alert's number is its reason less this offset.
static inline int copenssl_reason(unsigned long code) { return ERR_GET_REASON(code); }
static inline int copenssl_alert_offset(void) { return SSL_AD_REASON_OFFSET; }
static inline long copenssl_set_mode(SSL_CTX *context, long mode) { return SSL_CTX_set_mode(context, mode); }
static inline int copenssl_gcm_set_iv_length(EVP_CIPHER_CTX *context, int length) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_IVLEN, length, NULL);
}
static inline int copenssl_gcm_get_tag(EVP_CIPHER_CTX *context, int length, void *tag) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, length, tag);
}
static inline int copenssl_gcm_set_tag(EVP_CIPHER_CTX *context, int length, void *tag) {
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, length, tag);
}

// Options are 64-bit macros, sessions and read-ahead are macros over `SSL_CTX_ctrl`.
static inline uint64_t copenssl_ignore_unexpected_eof(void) { return SSL_OP_IGNORE_UNEXPECTED_EOF; }
static inline uint64_t copenssl_no_compression(void) { return SSL_OP_NO_COMPRESSION; }
static inline uint64_t copenssl_no_renegotiation(void) { return SSL_OP_NO_RENEGOTIATION; }
static inline long copenssl_write_modes(void) {
    return SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS;
}
static inline void copenssl_set_read_ahead(SSL_CTX *context) { SSL_CTX_set_read_ahead(context, 1); }
static inline void copenssl_cache_client_sessions(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
}

// HMAC-SHA256 (RFC 2104) with a key scheduled once. A copy of these two states is all a signature needs; EVP_MAC allocates
// six times and takes a dozen locks for one. `inner` and `outer` have taken the key's block.
typedef struct {
    SHA256_CTX inner;
    SHA256_CTX outer;
} copenssl_hmac;

static inline void copenssl_hmac_set_key(copenssl_hmac *hmac, const void *key, size_t count) {
    unsigned char block[SHA256_CBLOCK] = {0};
    if (count > sizeof block) {
        SHA256((const unsigned char *)key, count, block);
    } else {
        memcpy(block, key, count);
    }
    for (size_t index = 0; index < sizeof block; index++) block[index] ^= 0x36;
    SHA256_Init(&hmac->inner);
    SHA256_Update(&hmac->inner, block, sizeof block);
    for (size_t index = 0; index < sizeof block; index++) block[index] ^= 0x36 ^ 0x5c;
    SHA256_Init(&hmac->outer);
    SHA256_Update(&hmac->outer, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

// Ends the text that `text` has taken since it was copied from `inner`; `code` has room for 32 bytes.
static inline void copenssl_hmac_finish(const copenssl_hmac *hmac, SHA256_CTX *text, unsigned char *code) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX outer = hmac->outer;
    SHA256_Final(digest, text);
    SHA256_Update(&outer, digest, sizeof digest);
    SHA256_Final(code, &outer);
    OPENSSL_cleanse(&outer, sizeof outer);
}
