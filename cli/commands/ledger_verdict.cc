#include "cli/commands/ledger_verdict.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

namespace allod::cli::commands {
namespace {

constexpr char kUnsound[] = "NOT SOUND: something was left open or not recorded";

}  // namespace

LedgerVerdict JudgeLedger(const billing::v1::CheckLedgerResponse& check) {
  bool adds_up = check.mismatched_accounts().empty();
  for (const auto& sum : check.sums()) adds_up = adds_up && sum.amount() == "0";
  if (!adds_up) {
    return {"BROKEN", Fail(Code::kDataLoss, "LEDGER_BROKEN",
                           "the ledger does not add up; stop taking requests and restore a backup")};
  }
  if (check.overbilled_usage_record_count() > 0) {
    return {"NOT SOUND: more was billed than computed",
            Fail(Code::kDataLoss, "USAGE_OVERBILLED",
                 fmt::format("{} usage records bill more completion tokens than nodes sampled",
                             check.overbilled_usage_record_count()))};
  }
  if (check.overdue_reservation_count() > 0 || check.overdue_lease_count() > 0 ||
      check.unrecorded_request_count() > 0) {
    return {
        kUnsound,
        Fail(Code::kDataLoss, "USAGE_UNRECORDED",
             fmt::format("{} reservations and {} leases are open past their end and {} computed requests have no usage "
                         "record; see whether a gateway has settlements left (allod_gateway_settlements_refused and "
                         "allod_gateway_journal_slots_used in its metrics, and its log), and --hours for their names",
                         check.overdue_reservation_count(), check.overdue_lease_count(),
                         check.unrecorded_request_count()))};
  }
  std::set<std::string> unread(check.unaudited_tenants().begin(), check.unaudited_tenants().end());
  unread.insert(check.usage().unchecked_tenants().begin(), check.usage().unchecked_tenants().end());
  if (!unread.empty()) {
    return {"NOT KNOWN: not every tenant's could be read",
            Fail(Code::kDataLoss, "LEDGER_UNAUDITED",
                 fmt::format("{} could not be audited; billing's log says why. The others are sound",
                             fmt::join(unread, ", ")))};
  }
  return {"sound", {}};
}

}  // namespace allod::cli::commands
