// Port to what keeps revenue shares and payouts. Every method is one whole transaction. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "services/billing/payouts/payout.h"

namespace allod::billing::payouts {

class PayoutStore {
 public:
  virtual ~PayoutStore() = default;

  // The newest version, which says this.
  virtual Result<RevenueShare> SetRevenueShare(const RevenueShare& share) = 0;
  // The newest of each listing after `after`, by listing.
  virtual Result<std::vector<RevenueShare>> ListRevenueShares(const std::string& after, int limit) = 0;

  // The payout that there is, else it is made of what is open. Errors of DecidePayout; FAILED_PRECONDITION /
  // NO_LEGAL_ENTITY, LATER_PERIOD_FINALISED.
  virtual Result<Payout> FinalisePayout(const PayoutKey& key, const std::string& legal_entity, Time now) = 0;
  virtual Result<Payout> GetPayout(const PayoutKey& key) = 0;  // NOT_FOUND
  // Without lines; by publisher, currency and month, those after `after` (a key as the last one's SortKey).
  virtual Result<std::vector<Payout>> ListPayouts(const std::string& after, int limit) = 0;
  // NOT_FOUND; FAILED_PRECONDITION / ALREADY_PAID.
  virtual Result<Payout> RecordPayment(const PayoutKey& key, const Payment& payment) = 0;
};

// Its place in lists.
std::string SortKey(const PayoutKey& key);

}  // namespace allod::billing::payouts
