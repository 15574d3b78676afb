// OpenSSL's life: prepared once, never torn down, because threads still use it when the process exits.
internal import COpenSSL

package enum CryptoLibrary {
    /// First thing in the process.
    package static func prepare() { OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) }
}
