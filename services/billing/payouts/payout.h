// What publishers are paid: terms of listings, what documents earned, and payouts. docs/payouts.md says the same in
// words.
//
// Pure: no I/O, no clock, no proto, no SQL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/billing/invoice.h"

namespace allod::billing::payouts {

// What a publisher gets of the net of lines of a listing.
struct RevenueShare {
  std::string listing;  // `listings/{listing}`
  std::int32_t version = 0;
  std::string publisher;  // `publishers/{publisher}`
  std::int32_t basis_points = 0;
  Time create_time;
};
// INVALID_ARGUMENT / INVALID_ID, INVALID_SHARE.
Status CheckRevenueShare(const RevenueShare& share);
bool SameTerms(const RevenueShare& a, const RevenueShare& b);

// Which payout: `payouts/{publisher}-{currency}-{YYYY-MM}`.
struct PayoutKey {
  std::string publisher;  // `publishers/{publisher}`
  std::string currency_code;
  InvoicePeriod period;
  std::string ToName() const;
};
// INVALID_ARGUMENT / INVALID_NAME, INVALID_PERIOD, UNKNOWN_CURRENCY.
Result<PayoutKey> ParsePayoutName(std::string_view name, Time now);

struct PayoutLine {
  std::int32_t number = 0;
  std::string listing;
  std::int32_t basis_points = 0;
  std::int64_t document_count = 0;
  Amount net;
  Amount share;  // exact
};

struct Payout {
  PayoutKey key;
  std::string legal_entity;
  std::string number;
  Time issue_time;
  Party payer;
  Amount earned;   // exact
  Amount payable;  // whole minor units
  std::vector<PayoutLine> lines;
  std::string paid_on;  // YYYY-MM-DD; empty: not yet
  std::string payment_reference;
};

// Of what was earned, in whole minor units: never more. Of nothing or less nothing.
Amount PayableOf(Amount earned, int decimals);

// The payout of what is open, without its number. FAILED_PRECONDITION / NOTHING_TO_PAY.
Result<Payout> DecidePayout(const PayoutKey& key, const LegalEntity& payer, std::vector<PayoutLine> open, Time now);
// FAILED_PRECONDITION / PERIOD_OPEN before the month has ended.
Status CheckMayPay(const PayoutKey& key, Time now);

struct Payment {
  std::string paid_on;  // YYYY-MM-DD
  std::string reference;
};
// INVALID_ARGUMENT / INVALID_DATE, INVALID_TEXT. No day after today, which is `now`'s by UTC, and one day.
Status CheckPayment(const Payment& payment, Time now);

}  // namespace allod::billing::payouts
