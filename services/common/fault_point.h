// Named places between two durable steps, at which tests kill, delay or fail a process.
//
// A release program has nothing in it that could do any of this: HitFaultPoint() is a weak symbol that only the
// programs `allod-*-armed` of the tests define (tests/support/fault_point_armed.cc), so a point is a comparison of a
// constant with zero, and no setting and no environment arms it. services/common/fault_point_test.cc holds this list
// against the sources.
//
// To add one: a row below, and PassFaultPoint or TryFaultPoint where it says. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "services/common/result.h"

namespace allod {

// X(enumerator, name, the one file that has it, what has happened there and what has not)
#define ALLOD_FAULT_POINTS(X)                                                                                          \
  X(kJournalSized, "journal.sized", "gateway/metering/journal.cc", "the file has its size and no head")                \
  X(kJournalRecovering, "journal.recovering", "gateway/metering/journal.cc",                                           \
    "one slot of an earlier process is finalised, others are not")                                                     \
  X(kJournalFilled, "journal.filled", "gateway/metering/journal.cc", "a slot is filled, and free still")               \
  X(kJournalTaken, "journal.taken", "gateway/metering/journal.cc", "a slot is taken and has no terms")                 \
  X(kJournalTermsHalf, "journal.terms_half", "gateway/metering/journal.cc",                                            \
    "terms are in the slot, their checksum is not")                                                                    \
  X(kJournalTerms, "journal.terms", "gateway/metering/journal.cc", "a slot has its terms and nothing runs")            \
  X(kJournalExtended, "journal.extended", "gateway/metering/journal.cc",                                               \
    "a longer hold is in the slot, nothing beyond the old one is delivered")                                           \
  X(kJournalCounted, "journal.counted", "gateway/metering/journal.cc",                                                 \
    "tokens are counted, the socket has not got them")                                                                 \
  X(kJournalOutcome, "journal.outcome", "gateway/metering/journal.cc",                                                 \
    "an ended slot has its outcome and is open still")                                                                 \
  X(kJournalFinalised, "journal.finalised", "gateway/metering/journal.cc", "a slot is final and nobody is told")       \
  X(kJournalFreeing, "journal.freeing", "gateway/metering/journal.cc",                                                 \
    "billing acknowledged a slot that is not free yet")                                                                \
  X(kJournalFreed, "journal.freed", "gateway/metering/journal.cc", "a slot is free in the file and not in memory")     \
  X(kJournalUpgradeWritten, "journal.upgrade_written", "gateway/metering/journal_upgrade.cc",                          \
    "the journal of the new format is on disk beside the old one")                                                     \
  X(kJournalUpgradeRenamed, "journal.upgrade_renamed", "gateway/metering/journal_upgrade.cc",                          \
    "it has the name of the old one, and the folder is not synced")                                                    \
  X(kFundsTaken, "funds.taken", "gateway/metering/escrow_funds.cc",                                                    \
    "money is taken in memory, the journal does not know")                                                             \
  X(kFundsRecalled, "funds.recalled", "gateway/metering/escrow_funds.cc",                                              \
    "a recall has come and nothing is given back")                                                                     \
  X(kLeaseAsking, "lease.asking", "gateway/metering/escrow_funds.cc", "an adjustment has its epoch and is not sent")   \
  X(kLeaseGivingBack, "lease.giving_back", "gateway/metering/escrow_funds.cc",                                         \
    "money is not free here any more, and not given back")                                                             \
  X(kLeaseAnswered, "lease.answered", "gateway/metering/escrow_answers.cc",                                            \
    "billing answered an adjustment, the book does not know")                                                          \
  X(kFundsSettled, "funds.settled", "gateway/metering/escrow_funds.cc",                                                \
    "a request is settled and its slot is not free")                                                                   \
  X(kEarlierLeasesEnding, "funds.earlier_ending", "gateway/metering/escrow_end.cc",                                    \
    "all that earlier processes left is settled, their leases are open")                                               \
  X(kSettleSending, "settle.sending", "gateway/metering/settler.cc", "a batch is read and not sent")                   \
  X(kSettleSent, "settle.sent", "gateway/metering/settler.cc", "a batch is on its way")                                \
  X(kSettleAnswered, "settle.answered", "gateway/metering/settler.cc", "billing answered a batch, nothing is free")    \
  X(kSettleTold, "settle.told", "gateway/metering/settler.cc", "leases have what was not used, slots wait still")      \
  X(kSettleFreeing, "settle.freeing", "gateway/metering/settler.cc",                                                   \
    "some slots of a settled batch are free, others not")                                                              \
  X(kHoldMade, "hold.made", "gateway/serving/hold.cc", "a request has money and no terms in the journal")              \
  X(kHoldWritten, "hold.written", "gateway/serving/hold.cc", "a request has money and terms, no worker has it")        \
  X(kHoldReplacing, "hold.replacing", "gateway/serving/hold.cc", "a waiting request is to run on other terms")         \
  X(kHoldExtended, "hold.extended", "gateway/serving/hold.cc", "a hold has grown in memory, not in the journal")       \
  X(kRunAdmitted, "run.admitted", "gateway/serving/metered_run.cc", "a request passed keys and limits and has a slot") \
  X(kRunDispatching, "run.dispatching", "gateway/serving/metered_run.cc", "a request has all it needs and no replica") \
  X(kRunEnded, "run.ended", "gateway/serving/metered_run.cc", "an answer is out and its slot open")                    \
  X(kWorkerCalled, "worker.called", "gateway/serving/dispatch.cc", "a worker has the request")                         \
  X(kWorkerMessage, "worker.message", "gateway/serving/dispatch.cc",                                                   \
    "a message came, is covered, and nothing of it is handed on")                                                      \
  X(kWorkerFinished, "worker.finished", "gateway/serving/dispatch.cc", "the answer ended, the call did not")           \
  X(kStreamStarted, "stream.started", "gateway/openai/stream_answer.cc", "the prompt is counted, nothing is sent")     \
  X(kStreamPieceCounted, "stream.piece_counted", "gateway/openai/stream_answer.cc", "a piece is counted and not sent") \
  X(kStreamPieceTaken, "stream.piece_taken", "gateway/openai/stream_answer.cc", "the socket took a piece, or did not") \
  X(kStreamEndCounted, "stream.end_counted", "gateway/openai/stream_answer.cc", "the end is counted and not sent")     \
  X(kStreamEndTaken, "stream.end_taken", "gateway/openai/stream_answer.cc", "the socket took the end, or did not")     \
  X(kAnswerCounted, "answer.counted", "gateway/openai/whole_answer.cc", "a whole answer is counted and not sent")      \
  X(kAnswerTaken, "answer.taken", "gateway/openai/whole_answer.cc", "the socket took a whole answer, or did not")      \
  X(kTransactionBegun, "pg.begun", "services/common/pg/pool.cc",                                                       \
    "a transaction knows its tenant and has done nothing")                                                             \
  X(kTransactionWritten, "pg.written", "services/common/pg/pool.cc", "all is written, COMMIT is not sent")             \
  X(kTransactionCommitted, "pg.committed", "services/common/pg/pool.cc", "COMMIT was answered")                        \
  X(kMigrationWritten, "migration.written", "services/common/pg/migrations.cc",                                        \
    "a migration is carried out and not committed")                                                                    \
  X(kMigrationCommitted, "migration.committed", "services/common/pg/migrations.cc",                                    \
    "a migration is committed, the next has not begun")                                                                \
  X(kAccountWritten, "billing.account_written", "services/billing/pg_store.cc", "an account is set and not committed") \
  X(kAccountCommitted, "billing.account_committed", "services/billing/billing_account_service.cc",                     \
    "... committed and not answered")                                                                                  \
  X(kPriceBookWritten, "billing.price_book_written", "services/billing/pg_store.cc",                                   \
    "a price book is written and not committed")                                                                       \
  X(kPriceBookCommitted, "billing.price_book_committed", "services/billing/price_book_service.cc",                     \
    "... committed and not answered")                                                                                  \
  X(kReserveReleased, "billing.reserve_released", "services/billing/pg_store_usage.cc",                                \
    "the hold of before is void, the new one not written")                                                             \
  X(kReserveWritten, "billing.reserve_written", "services/billing/pg_store_usage.cc",                                  \
    "a hold is written and not committed")                                                                             \
  X(kReserveCommitted, "billing.reserve_committed", "services/billing/usage_service.cc",                               \
    "... committed and not answered")                                                                                  \
  X(kSettleLocked, "billing.settle_locked", "services/billing/pg_store_usage.cc",                                      \
    "a settlement has the tenant's lock")                                                                              \
  X(kSettleWritten, "billing.settle_written", "services/billing/pg_store_usage.cc",                                    \
    "a settlement is written and not committed")                                                                       \
  X(kSettleCommitted, "billing.settle_committed", "services/billing/usage_service.cc",                                 \
    "... committed and not answered")                                                                                  \
  X(kExpireWritten, "billing.expire_written", "services/billing/pg_store_usage.cc",                                    \
    "holds are released and it is not committed")                                                                      \
  X(kExpireCommitted, "billing.expire_committed", "services/billing/expirer.cc",                                       \
    "some of what is due is released, committed")                                                                      \
  X(kAdjustLocked, "billing.adjust_locked", "services/billing/pg_store_leases.cc",                                     \
    "an adjustment has the tenant's lock")                                                                             \
  X(kAdjustWritten, "billing.adjust_written", "services/billing/pg_store_leases.cc",                                   \
    "a slice is moved and it is not committed")                                                                        \
  X(kAdjustCommitted, "billing.adjust_committed", "services/billing/lease_service.cc",                                 \
    "... committed and not answered")                                                                                  \
  X(kRecallMarked, "billing.recall_marked", "services/billing/lease_service.cc",                                       \
    "leases are recalled in their rows and nobody is told")                                                            \
  X(kRecallTold, "billing.recall_told", "services/billing/lease_service.cc", "one gateway is told, others are not")    \
  X(kEndLeasesWritten, "billing.end_leases_written", "services/billing/pg_store_leases.cc",                            \
    "leases of a dead gateway are ended and it is not committed")                                                      \
  X(kEndLeasesCommitted, "billing.end_leases_committed", "services/billing/lease_service.cc",                          \
    "... of one tenant, committed; of others not")                                                                     \
  X(kExpireLeasesWritten, "billing.expire_leases_written", "services/billing/pg_store_leases.cc",                      \
    "leases are ended by time and it is not committed")                                                                \
  X(kBatchLocked, "billing.batch_locked", "services/billing/pg_store_batch.cc", "a batch has the tenant's lock")       \
  X(kBatchWritten, "billing.batch_written", "services/billing/pg_store_batch.cc",                                      \
    "postings and usage of a batch are written and not committed")                                                     \
  X(kBatchCommitted, "billing.batch_committed", "services/billing/lease_service.cc", "... committed and not answered") \
  X(kComputedWritten, "billing.computed_written", "services/billing/pg_store_computed.cc",                             \
    "what a node computed is written and not committed")                                                               \
  X(kInvoiceNumbered, "billing.invoice_numbered", "services/billing/pg_store_invoices.cc",                             \
    "a document has its number and no lines")                                                                          \
  X(kInvoiceBooked, "billing.invoice_booked", "services/billing/pg_store_invoices.cc",                                 \
    "a document is booked and not in the audit log")                                                                   \
  X(kInvoiceWritten, "billing.invoice_written", "services/billing/pg_store_invoices.cc",                               \
    "a document is whole and not committed")                                                                           \
  X(kFinaliseCommitted, "billing.finalise_committed", "services/billing/invoice_service.cc",                           \
    "an invoice is committed and not answered")                                                                        \
  X(kCreditCommitted, "billing.credit_committed", "services/billing/invoice_service.cc",                               \
    "a credit note is committed and not answered")                                                                     \
  X(kPaymentWritten, "billing.payment_written", "services/billing/wallet/pg_wallet_store.cc",                          \
    "a payment is booked and not committed")                                                                           \
  X(kPaymentCommitted, "billing.payment_committed", "services/billing/wallet/wallet_service.cc",                       \
    "... committed and not answered")                                                                                  \
  X(kRedeemCommitted, "billing.redeem_committed", "services/billing/wallet/wallet_service.cc",                         \
    "a voucher is redeemed, committed and not answered")                                                               \
  X(kInstanceTimeWritten, "billing.instance_time_written", "services/billing/instance_time/pg_instance_time_store.cc", \
    "time of replicas is owed and not committed")                                                                      \
  X(kInstanceTimeCommitted, "billing.instance_time_committed",                                                         \
    "services/billing/instance_time/instance_time_service.cc", "... committed and not answered")                       \
  X(kRollUpWritten, "billing.roll_up_written", "services/billing/analysis/pg_rollups.cc",                              \
    "usage is added to its roll-ups and not committed")                                                                \
  X(kEventsTaken, "events.taken", "services/billing/events/relay.cc", "a sink is claimed and nothing is sent to it")   \
  X(kEventsAnswered, "events.answered", "services/billing/events/relay.cc",                                            \
    "a sink has the events, its cursor stands before them")                                                            \
  X(kRingDeed, "node.ring_deed", "inference/node/usage_collector.cc", "a ring has its deed and no file")               \
  X(kUsageRead, "node.usage_read", "inference/node/usage_collector.cc", "closed slots are read and nobody is told")    \
  X(kUsageAnswered, "node.usage_answered", "inference/node/usage_collector.cc",                                        \
    "billing has the events, slots are closed still")                                                                  \
  X(kUsageFreeing, "node.usage_freeing", "inference/node/usage_collector.cc",                                          \
    "some slots of a batch are free, others not")                                                                      \
  X(kRingRemoved, "node.ring_removed", "inference/node/usage_collector.cc",                                            \
    "an empty ring is gone, its deed is there")                                                                        \
  X(kRingFilled, "ring.filled", "inference/usage/ring_recorder.cc", "a slot of a ring is filled, and free still")      \
  X(kRingOpened, "ring.opened", "inference/usage/ring_recorder.cc", "a slot is open and nothing is counted")           \
  X(kRingCounted, "ring.counted", "inference/usage/ring_recorder.cc", "a token is counted, nobody has it")             \
  X(kRingClosing, "ring.closing", "inference/usage/ring_recorder.cc", "a slot has its outcome and is open still")      \
  X(kRingClosed, "ring.closed", "inference/usage/ring_recorder.cc", "a slot is closed and not counted as such")        \
  X(kInstanceWritten, "scheduling.instance_written", "services/scheduling/pg_store.cc",                                \
    "a change of an instance is written and not committed")                                                            \
  X(kRoutesPushed, "scheduling.routes_pushed", "services/scheduling/route_service.cc",                                 \
    "a gateway has the routes, others may not")                                                                        \
  X(kRoutesPushing, "scheduling.routes_pushing", "services/scheduling/route_service.cc",                               \
    "routes have changed and a gateway is not told")                                                                   \
  X(kRoutesAcknowledged, "scheduling.routes_acknowledged", "services/scheduling/route_service.cc",                     \
    "a gateway applied routes, who waits for it does not know")                                                        \
  X(kPlanWritten, "scheduling.plan_written", "services/scheduling/pg_store_apply.cc",                                  \
    "what the scheduler decided is written and not committed")

enum class FaultPoint : std::uint8_t {
#define ALLOD_FAULT_POINT_ENUMERATOR(point, name, file, meaning) point,
  ALLOD_FAULT_POINTS(ALLOD_FAULT_POINT_ENUMERATOR)
#undef ALLOD_FAULT_POINT_ENUMERATOR
};

struct FaultPointInfo {
  FaultPoint point;
  std::string_view enumerator;
  std::string_view name;
  std::string_view file;
  std::string_view meaning;
};

// In the order of FaultPoint.
#define ALLOD_FAULT_POINT_ROW(point, name, file, meaning) {FaultPoint::point, #point, name, file, meaning},
inline constexpr auto kFaultPoints = std::to_array<FaultPointInfo>({ALLOD_FAULT_POINTS(ALLOD_FAULT_POINT_ROW)});
#undef ALLOD_FAULT_POINT_ROW

// Kills this process, or waits, if a test says so. Whether the caller is to fail.
[[gnu::weak]] bool HitFaultPoint(FaultPoint point);

// Where nothing can fail: a point that is armed to fail does nothing here.
inline void PassFaultPoint(FaultPoint point) {
  if (HitFaultPoint != nullptr) (void)HitFaultPoint(point);
}

// UNAVAILABLE / FAULT_POINT if it is armed to fail.
inline Status TryFaultPoint(FaultPoint point) {
  if (HitFaultPoint != nullptr && HitFaultPoint(point)) {
    return Fail(Code::kUnavailable, "FAULT_POINT", "a test wanted this to fail");
  }
  return {};
}

}  // namespace allod
