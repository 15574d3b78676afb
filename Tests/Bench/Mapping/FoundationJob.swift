// The baseline: the same five records mapped as a Swift service usually would, with Codable values, JSONDecoder and
// JSONEncoder.
import Foundation

/// One envelope for all five; each has the parts it needs.
struct Domain: Decodable {
    struct Payload: Decodable {
        struct User: Decodable {
            var id: String?
            var email: String?
            var walletAddress: String?
            var stellarAddress: String?
            var country: String?
            var createdAt: String?
        }
        struct Module: Decodable {
            var id: String
            var title: String
            var category: String?
        }
        struct Attempt: Decodable {
            var score: Int
            var timeSpentSeconds: Int?
            var completedAt: String
        }
        struct Reward: Decodable {
            var amount: String?
            var asset: String?
            var usdValue: String?
            var kind: String?
            var memo: String?
        }
        struct Source: Decodable {
            var id: String?
            var type: String?
        }
        struct Transaction: Decodable {
            var hash: String?
            var status: String?
        }
        struct Credential: Decodable {
            struct Metadata: Codable {
                var score: Int?
                var version: String?
                var issuer: String?
            }
            var id: String?
            var onChainId: String?
            var issuedAt: String?
            var onChainUrl: String?
            var verifiableUrl: String?
            var metadata: Metadata?
        }
        struct Withdrawal: Decodable {
            var id: String
            var amount: String
            var asset: String
            var usdValue: String?
            var fee: String?
            var netAmount: String?
            var destination: String
            var destinationType: String
            var status: String
            var processedAt: String?
        }
        struct Referral: Decodable {
            var code: String?
            var referredBy: String?
        }
        var user: User?
        var module: Module?
        var attempt: Attempt?
        var reward: Reward?
        var source: Source?
        var transaction: Transaction?
        var credential: Credential?
        var withdrawal: Withdrawal?
        var referral: Referral?
    }
    var eventId: String
    var eventType: String
    var occurredAt: String
    var accountId: String
    var payload: Payload
}

/// A body; every field that any of the five has.
struct Body: Encodable {
    struct Data: Encodable {
        var userId, userEmail, email, walletAddress, referralCode, referredBy, country, createdAt: String?
        var moduleId, moduleTitle, moduleCategory: String?
        var score, timeSpent: Int?
        var completedAt, rewardAmount, rewardAsset, credentialId, onChainCredentialId: String?
        var amount, asset, usdValue, type, sourceId, sourceType, transactionHash, status, memo: String?
        var userStellarAddress, issuedAt, onChainId, onChainUrl, verifiableUrl: String?
        var metadata: Domain.Payload.Credential.Metadata?
        var withdrawalId, fee, netAmount, destination, destinationType, processedAt: String?
    }
    var id, type, created, version: String
    var data: Data
}

struct FoundationJob {
    private let decoder = JSONDecoder()
    private let encoder = JSONEncoder()

    init() { encoder.outputFormatting = .withoutEscapingSlashes }

    func run(_ record: Data, id: String) throws -> Data {
        let domain = try decoder.decode(Domain.self, from: record)
        let from = domain.payload
        var to = Body.Data()
        to.userId = from.user?.id
        let type: String
        switch domain.eventType {
        case "ModuleCompleted":
            type = "module.completed"
            (to.userEmail, to.moduleId, to.moduleTitle) = (from.user?.email, from.module?.id, from.module?.title)
            (to.moduleCategory, to.score, to.timeSpent) =
                (from.module?.category, from.attempt?.score, from.attempt?.timeSpentSeconds)
            (to.completedAt, to.rewardAmount, to.rewardAsset) =
                (from.attempt?.completedAt, from.reward?.amount, from.reward?.asset)
            (to.credentialId, to.onChainCredentialId) = (from.credential?.id, from.credential?.onChainId)
        case "RewardIssued":
            type = "reward.issued"
            (to.userEmail, to.amount, to.asset) = (from.user?.email, from.reward?.amount, from.reward?.asset)
            (to.usdValue, to.type, to.memo) = (from.reward?.usdValue, from.reward?.kind, from.reward?.memo)
            (to.sourceId, to.sourceType, to.walletAddress) =
                (from.source?.id, from.source?.type, from.user?.walletAddress)
            (to.transactionHash, to.status) = (from.transaction?.hash, from.transaction?.status)
        case "CredentialIssued":
            type = "credential.issued"
            (to.credentialId, to.userStellarAddress) = (from.credential?.id, from.user?.stellarAddress)
            (to.moduleId, to.moduleTitle, to.moduleCategory) =
                (from.module?.id, from.module?.title, from.module?.category)
            (to.issuedAt, to.onChainId, to.onChainUrl) =
                (from.credential?.issuedAt, from.credential?.onChainId, from.credential?.onChainUrl)
            (to.verifiableUrl, to.metadata) = (from.credential?.verifiableUrl, from.credential?.metadata)
        case "RewardWithdrawn":
            type = "reward.withdrawn"
            let out = from.withdrawal
            (to.userEmail, to.withdrawalId, to.amount) = (from.user?.email, out?.id, out?.amount)
            (to.asset, to.usdValue, to.fee, to.netAmount) = (out?.asset, out?.usdValue, out?.fee, out?.netAmount)
            (to.destination, to.destinationType, to.status) = (out?.destination, out?.destinationType, out?.status)
            (to.transactionHash, to.processedAt) = (from.transaction?.hash, out?.processedAt)
        default:
            type = "user.created"
            (to.email, to.walletAddress) = (from.user?.email, from.user?.walletAddress)
            (to.referralCode, to.referredBy) = (from.referral?.code, from.referral?.referredBy)
            (to.country, to.createdAt) = (from.user?.country, from.user?.createdAt)
        }
        return try encoder.encode(
            Body(id: id, type: type, created: domain.occurredAt, version: "1.0", data: to))
    }
}
