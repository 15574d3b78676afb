// What a subscriber does with a POST: checks both signatures. For `listen` and the demo's receivers.
internal import Crypto
internal import HTTPServer

enum WebhookVerifier {
    /// - Returns: nil when both signatures are right, else what is wrong.
    static func fault(in request: HTTPServerRequest, secret text: String) -> String? {
        guard let secret = try? WebhookSecret(Array(text.utf8)) else { return "the secret is not whsec_ and base64" }
        guard let signature = request.headers["X-Learnault-Signature"] else {
            return "X-Learnault-Signature is missing"
        }
        let expected = secret.signBody(request.body) { hex($0) }
        guard equalsInConstantTime(Array(signature.utf8), Array(expected.utf8)) else {
            return "X-Learnault-Signature is wrong"
        }
        guard let id = request.headers["webhook-id"], let timestamp = request.headers["webhook-timestamp"],
            let list = request.headers["webhook-signature"]
        else { return "the Standard Webhooks headers are missing" }
        let standard = secret.standardSignature(
            id: Array(id.utf8), timestamp: Array(timestamp.utf8), body: request.body)
        guard list.split(separator: " ").contains(where: { equalsInConstantTime(Array($0.utf8), standard) }) else {
            return "webhook-signature is wrong"
        }
        return nil
    }
}
