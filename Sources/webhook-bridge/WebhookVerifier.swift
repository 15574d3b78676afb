// What a subscriber does with a POST: checks both signatures. For `listen` and the demo's receivers.
internal import Crypto
internal import HTTPServer

struct WebhookVerifier: Sendable {
    let secret: String

    /// - Returns: nil when both signatures are right, else what is wrong.
    func fault(in request: HTTPServerRequest) -> String? {
        let signer = HMACSigner(key: Array(secret.utf8))
        guard let signature = request.headers["X-Learnault-Signature"] else { return "X-Learnault-Signature is missing" }
        let expected = signer.sign([request.body]) { hex($0) }
        guard equalsInConstantTime(Array(signature.utf8), Array(expected.utf8)) else {
            return "X-Learnault-Signature is wrong"
        }
        guard let id = request.headers["webhook-id"], let timestamp = request.headers["webhook-timestamp"],
            let list = request.headers["webhook-signature"]
        else { return "the Standard Webhooks headers are missing" }
        // Standard Webhooks keys its HMAC with the decoded secret, behind the prefix.
        let signed = Array("\(id).\(timestamp).".utf8)
        let standard = StandardWebhooks.signer(secret).sign([signed, request.body]) { "v1," + Base64.encode($0) }
        guard list.split(separator: " ").contains(where: { equalsInConstantTime(Array($0.utf8), Array(standard.utf8)) })
        else { return "webhook-signature is wrong" }
        return nil
    }
}
