// Charges: what an invoice asks or gives back beside tokens. docs/billing-contract.md has the rules.
//
// Where they come from is for others to say: a charge is a value, and an invoice takes those that are open
// (charge_lines.h). They are booked when they are invoiced; nothing posted them before, but for the time of instances
// (instance_time/), which is owed since it passed.
//
// Pure: no I/O, no clock, no proto, no SQL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/money.h"
#include "services/common/result.h"

namespace allod::billing {

// In the order in which an invoice has them.
enum class ChargeKind {
  kInstanceTime = 1,     // an instance was there
  kFreeAllowance,        // of terms: what is free
  kVolumeTier,           // ... what a volume takes off
  kDiscount,             // ... a percentage
  kCommitmentShortfall,  // ... what is missing to what was committed to
  kRerating,             // a price that was too low, corrected
};

enum class ChargeUnit { kOne = 1, kSecond, kToken };

inline constexpr std::int64_t kSecondsPerHour = 3600;

struct ChargeTerms {
  ChargeKind kind = ChargeKind::kInstanceTime;
  // What the words for the kind do not say, in no language: "20%", "models/m".
  std::string detail;
  ChargeUnit unit = ChargeUnit::kOne;
  std::int64_t per = 1;    // the price is of so many units
  std::optional<Uuid> id;  // of a single one that waits for its invoice
  std::string term;        // of one that follows from price terms: which of them; once for each month in an invoice

  bool operator==(const ChargeTerms&) const = default;
};

struct Charge {
  ChargeTerms terms;
  Time month;                   // that it is of
  std::string instance;         // empty: of the tenant as a whole
  std::string variant;          // may be empty
  std::string isolation_class;  // may be empty
  Uuid price_book;              // of instance time
  std::int64_t quantity = 1;
  Amount unit_price;  // of `per` units; of what takes something off negative
  Amount exact;       // ExactOf(quantity, unit_price, per)

  bool operator==(const Charge&) const = default;
};

// quantity x unit_price / per, half to even to 10^-12. OUT_OF_RANGE past 10^38 - 1.
Result<Amount> ExactOf(std::int64_t quantity, Amount unit_price, std::int64_t per);
// Whether it is owed before it is invoiced, as usage is: the time of instances.
bool IsOwedAlready(const ChargeTerms& terms);
// Time of an instance, at the price of an hour.
Result<Charge> InstanceTime(Time month, std::string instance, std::string variant, std::string isolation_class,
                            Uuid price_book, std::int64_t seconds, Amount hour_price);
// The sum, exact.
Result<Amount> TotalOf(const std::vector<Charge>& charges);

}  // namespace allod::billing
