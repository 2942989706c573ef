// What terms do to a month: a pure function of the terms and of what was used in all of the month.
//
// In this order, each exact to 10^-12 (half to even) and of what the ones before left:
//   1. free tokens: the dearest tokens of the month are free, as many as there are of them;
//   2. volume tiers: of what is left, counted from the dearest token down, those above a tier's beginning are cheaper;
//   3. percentage discounts, of tokens and of the instance time of the same models; then that of a commitment;
//   4. a free amount, at most as much as is left;
//   5. what is missing to the commitment is charged.
// "Dearest first" makes the result independent of the order of lines, and more use never costs less in all, to within
// the 10^-12 that each clause is rounded by.
//
// What an invoice has is the difference to what invoices of the month had before (OpenAdjustments): so the sum over any
// number of invoices is what one would have had, whatever was settled late and whenever.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "services/billing/charge.h"
#include "services/billing/terms/terms.h"

namespace allod::billing::terms {

// Tokens of one model at one price, or instance time of one model.
struct Used {
  std::string model;  // `models/{model}`
  Amount price;       // of one token; of time 0
  std::int64_t tokens = 0;
  Amount time;  // exact, of instance time
};

struct Adjustment {
  ChargeKind kind = ChargeKind::kDiscount;
  std::string detail;
  Amount exact;  // of what takes something off negative
};
// By clause: `free_tokens`, `tiers/models/m`, `discount`, `commitment_discount`, `free_amount`, `commitment`.
using Adjustments = std::map<std::string, Adjustment>;

// `used` of all of the month, however it stands on invoices. OUT_OF_RANGE past 10^38 - 1.
Result<Adjustments> Adjust(const Terms& terms, Time month, const std::vector<Used>& used);

// What is to be invoiced of them, after `invoiced` by clause; of a clause that terms have no more all that was invoiced
// is taken back. Nothing for what does not differ.
Result<std::vector<Charge>> OpenAdjustments(const Adjustments& adjustments,
                                            const std::map<std::string, Amount>& invoiced, Time month);

// What the month costs with them, exact; never negative.
Result<Amount> CostOf(const std::vector<Used>& used, const Adjustments& adjustments);

}  // namespace allod::billing::terms
