#include "services/billing/terms/adjust.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::billing::terms {
namespace {

// A slice of tokens that cost the same.
struct Slice {
  std::string model;
  Amount price;
  std::int64_t tokens = 0;
};

Amount Negative(Amount amount) { return Amount::FromPico(-amount.pico()); }

std::string Percent(std::int32_t basis_points) {
  return Amount::FromPico(Int128{basis_points} * 10'000'000'000).ToString() + "%";
}

// The clause that counts for the model.
template <typename Clause>
const Clause* ClauseFor(const std::vector<Clause>& clauses, const std::string& model) {
  const Clause* out = nullptr;
  for (const Clause& clause : clauses) {
    if (clause.model == model) return &clause;
    if (clause.model.empty()) out = &clause;
  }
  return out;
}

std::string Key(const char* kind, const std::string& model) {
  return model.empty() ? kind : fmt::format("{}/{}", kind, model);
}
std::string Detail(const std::string& model, const std::string& what) {
  return model.empty() ? what : fmt::format("{}: {}", model, what);
}

// The month as it is worked through: what is left of it.
class Month {
 public:
  Month(const Terms& terms, Time month) : terms_(terms), is_committed_(IsCommitted(terms, month)) {}

  Status Take(const std::vector<Used>& used) {
    std::map<std::pair<std::string, Amount>, std::int64_t> tokens;
    for (const Used& row : used) {
      if (row.tokens > 0) {
        std::int64_t& sum = tokens[{row.model, row.price}];
        if (__builtin_add_overflow(sum, row.tokens, &sum)) return TooMuch();
        ALLOD_TRY(const Amount cost, Multiply(row.price, row.tokens));
        ALLOD_CHECK_OK(AddTo(row.model, cost));
      }
      ALLOD_CHECK_OK(AddTo(row.model, row.time));
    }
    for (const auto& [key, count] : tokens) slices_.push_back({key.first, key.second, count});
    std::ranges::sort(slices_, [](const Slice& a, const Slice& b) {
      return std::tie(b.price, a.model) < std::tie(a.price, b.model);
    });
    return {};
  }

  Status FreeTokensOff() {
    for (const FreeTokens& clause : terms_.free_tokens) {
      std::int64_t left = clause.tokens;
      Amount off;
      for (Slice& slice : slices_) {
        if (ClauseFor(terms_.free_tokens, slice.model) != &clause) continue;
        const std::int64_t taken = std::min(left, slice.tokens);
        left -= taken;
        slice.tokens -= taken;
        ALLOD_TRY(const Amount cost, Multiply(slice.price, taken));
        ALLOD_CHECK_OK(AddTo(slice.model, Negative(cost)));
        ALLOD_TRY(off, Add(off, cost));
      }
      Record(Key("free_tokens", clause.model), ChargeKind::kFreeAllowance,
             Detail(clause.model, std::to_string(clause.tokens)), Negative(off));
    }
    return {};
  }

  Status TiersOff() {
    for (const VolumeTiers& clause : terms_.tiers) {
      std::map<std::string, Amount> off;  // by model, times kBasisPointsMax
      std::int64_t before = 0;            // tokens
      for (const Slice& slice : slices_) {
        if (ClauseFor(terms_.tiers, slice.model) != &clause) continue;
        std::int64_t end = 0;
        if (__builtin_add_overflow(before, slice.tokens, &end)) return TooMuch();
        for (std::size_t i = 0; i < clause.tiers.size(); ++i) {
          const std::int64_t from = std::max(before, clause.tiers[i].from_tokens);
          const std::int64_t to = i + 1 < clause.tiers.size() ? std::min(end, clause.tiers[i + 1].from_tokens) : end;
          if (from >= to) continue;
          ALLOD_TRY(const Amount cost, Multiply(slice.price, to - from));
          ALLOD_TRY(const Amount part, Multiply(cost, clause.tiers[i].basis_points));
          ALLOD_TRY(off[slice.model], Add(off[slice.model], part));
        }
        before = end;
      }
      Amount sum;
      for (const auto& [model, scaled] : off) {
        ALLOD_TRY(const Amount part, ExactOf(1, scaled, kBasisPointsMax));
        ALLOD_CHECK_OK(AddTo(model, Negative(part)));
        ALLOD_TRY(sum, Add(sum, part));
      }
      std::string tiers;
      for (const Tier& tier : clause.tiers) {
        tiers += fmt::format("{}> {} {}", tiers.empty() ? "" : ", ", tier.from_tokens, Percent(tier.basis_points));
      }
      Record(Key("tiers", clause.model), ChargeKind::kVolumeTier, Detail(clause.model, tiers), Negative(sum));
    }
    return {};
  }

  Status DiscountsOff() {
    for (const Discount& clause : terms_.discounts) {
      Amount sum;
      for (auto& [model, left] : left_) {
        if (ClauseFor(terms_.discounts, model) != &clause) continue;
        ALLOD_TRY(const Amount part, ExactOf(clause.basis_points, left, kBasisPointsMax));
        ALLOD_TRY(left, Subtract(left, part));
        ALLOD_TRY(sum, Add(sum, part));
      }
      Record(Key("discount", clause.model), ChargeKind::kDiscount, Detail(clause.model, Percent(clause.basis_points)),
             Negative(sum));
    }
    return {};
  }

  // What counts for the tenant as a whole.
  Status WholeOff() {
    Amount left;
    for (const auto& [model, part] : left_) {
      ALLOD_TRY(left, Add(left, part));
    }
    if (is_committed_ && terms_.commitment->basis_points > 0) {
      ALLOD_TRY(const Amount off, ExactOf(terms_.commitment->basis_points, left, kBasisPointsMax));
      ALLOD_TRY(left, Subtract(left, off));
      Record("commitment_discount", ChargeKind::kDiscount, Percent(terms_.commitment->basis_points), Negative(off));
    }
    if (terms_.free_amount) {
      const Amount off = std::min(left, *terms_.free_amount);
      ALLOD_TRY(left, Subtract(left, off));
      Record("free_amount", ChargeKind::kFreeAllowance, terms_.free_amount->ToString(), Negative(off));
    }
    if (is_committed_ && left < terms_.commitment->monthly) {
      ALLOD_TRY(const Amount missing, Subtract(terms_.commitment->monthly, left));
      Record("commitment", ChargeKind::kCommitmentShortfall, terms_.commitment->monthly.ToString(), missing);
    }
    return {};
  }

  Adjustments Result() && { return std::move(out_); }

 private:
  static std::unexpected<Error> TooMuch() {
    return Fail(Code::kOutOfRange, "TOO_MANY_TOKENS", "the month has more tokens than 2^63 - 1");
  }
  Status AddTo(const std::string& model, Amount amount) {
    Amount& left = left_[model];
    ALLOD_TRY(left, Add(left, amount));
    return {};
  }
  void Record(const std::string& key, ChargeKind kind, std::string detail, Amount exact) {
    if (exact != Amount()) out_[key] = {kind, std::move(detail), exact};
  }

  const Terms& terms_;
  const bool is_committed_;
  std::vector<Slice> slices_;           // the dearest first; what is not free
  std::map<std::string, Amount> left_;  // by model, of tokens and time
  Adjustments out_;
};

ChargeKind KindOfClause(const std::string& key) {
  if (key == "commitment") return ChargeKind::kCommitmentShortfall;
  if (key.starts_with("free_")) return ChargeKind::kFreeAllowance;
  return key.starts_with("tiers") ? ChargeKind::kVolumeTier : ChargeKind::kDiscount;
}

}  // namespace

Result<Adjustments> Adjust(const Terms& terms, Time month, const std::vector<Used>& used) {
  Month work(terms, month);
  ALLOD_CHECK_OK(work.Take(used));
  ALLOD_CHECK_OK(work.FreeTokensOff());
  ALLOD_CHECK_OK(work.TiersOff());
  ALLOD_CHECK_OK(work.DiscountsOff());
  ALLOD_CHECK_OK(work.WholeOff());
  return std::move(work).Result();
}

Result<std::vector<Charge>> OpenAdjustments(const Adjustments& adjustments,
                                            const std::map<std::string, Amount>& invoiced, Time month) {
  Adjustments all = adjustments;
  for (const auto& [key, amount] : invoiced) all.try_emplace(key, Adjustment{KindOfClause(key), "", Amount()});
  std::vector<Charge> out;
  for (const auto& [key, adjustment] : all) {
    const auto before = invoiced.find(key);
    ALLOD_TRY(const Amount open, Subtract(adjustment.exact, before == invoiced.end() ? Amount() : before->second));
    if (open == Amount()) continue;
    out.push_back({.terms = {.kind = adjustment.kind, .detail = adjustment.detail, .term = key},
                   .month = month,
                   .unit_price = open,
                   .exact = open});
  }
  return out;
}

Result<Amount> CostOf(const std::vector<Used>& used, const Adjustments& adjustments) {
  Amount out;
  for (const Used& row : used) {
    ALLOD_TRY(const Amount cost, Multiply(row.price, row.tokens));
    ALLOD_TRY(out, Add(out, cost));
    ALLOD_TRY(out, Add(out, row.time));
  }
  for (const auto& [key, adjustment] : adjustments) {
    ALLOD_TRY(out, Add(out, adjustment.exact));
  }
  return out;
}

}  // namespace allod::billing::terms
