#include "services/billing/terms/terms.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "services/billing/refusals.h"
#include "services/common/text_check.h"

namespace allod::billing::terms {
namespace {

std::unexpected<Error> Invalid(const std::string& field, const std::string& why) {
  return InvalidArgument("INVALID_TERMS", fmt::format("terms.{}: {}", field, why));
}

// Sorted by model, each named once.
template <typename Clause>
Status CheckClauses(const std::string& field, std::vector<Clause>& clauses) {
  if (clauses.size() > kClausesMax) {
    return Invalid(field, fmt::format("{} of them; at most {}", clauses.size(), kClausesMax));
  }
  std::ranges::sort(clauses, {}, &Clause::model);
  for (std::size_t i = 0; i < clauses.size(); ++i) {
    const std::string& model = clauses[i].model;
    if (!model.empty()) ALLOD_CHECK_OK(MatchName("terms." + field + ".model", model, "models/*"));
    if (i > 0 && clauses[i - 1].model == model) {
      return InvalidArgument("DUPLICATE_CLAUSE",
                             fmt::format("terms.{}: two for {}", field, model.empty() ? "all models" : model));
    }
  }
  return {};
}

Status CheckBasisPoints(const std::string& field, std::int32_t basis_points, std::int32_t least) {
  if (basis_points >= least && basis_points <= kBasisPointsMax) return {};
  return Invalid(
      field, fmt::format("{} is not from {} to {} (hundredths of a percent)", basis_points, least, kBasisPointsMax));
}

Status CheckTokens(const std::string& field, std::int64_t tokens) {
  if (tokens >= 1 && tokens <= kTokensPerMonthMax) return {};
  return Invalid(field, fmt::format("{} is not from 1 to {}", tokens, kTokensPerMonthMax));
}

Status CheckAmount(const std::string& field, Amount amount, int decimals) {
  if (amount > Amount() && amount <= kCreditLimitMax && Round(amount, decimals) == amount) return {};
  return Invalid(field, fmt::format("{} is not more than 0 and at most {}, with {} decimals at most", amount.ToString(),
                                    kCreditLimitMax.ToString(), decimals));
}

Status CheckTiers(const std::vector<Tier>& tiers) {
  if (tiers.empty() || tiers.size() > kTiersMax) {
    return Invalid("volume_tiers.tiers", fmt::format("give 1 to {}", kTiersMax));
  }
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    ALLOD_CHECK_OK(CheckTokens("volume_tiers.tiers.from_tokens", tiers[i].from_tokens));
    ALLOD_CHECK_OK(CheckBasisPoints("volume_tiers.tiers.basis_points", tiers[i].basis_points, 1));
    if (i == 0) continue;
    // More use never costs less in all, so what is off never gets less.
    if (tiers[i].from_tokens <= tiers[i - 1].from_tokens || tiers[i].basis_points < tiers[i - 1].basis_points) {
      return Invalid(
          "volume_tiers.tiers",
          fmt::format("the one from {} does not follow the one from {}; they begin later, and take off no less",
                      tiers[i].from_tokens, tiers[i - 1].from_tokens));
    }
  }
  return {};
}

// Sorted: less availability gives back no less.
Status CheckServiceLevel(std::vector<ServiceLevelStep>& steps) {
  if (steps.size() > kTiersMax)
    return Invalid("service_level", fmt::format("{} of them; at most {}", steps.size(), kTiersMax));
  std::ranges::sort(steps, std::greater<>(), &ServiceLevelStep::below);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    ALLOD_CHECK_OK(CheckBasisPoints("service_level.below_basis_points", steps[i].below, 1));
    ALLOD_CHECK_OK(CheckBasisPoints("service_level.credit_basis_points", steps[i].credit, 1));
    if (i > 0 && (steps[i].below == steps[i - 1].below || steps[i].credit < steps[i - 1].credit)) {
      return Invalid("service_level",
                     fmt::format("the one below {} does not follow the one below {}; less availability "
                                 "gives back no less",
                                 steps[i].below, steps[i - 1].below));
    }
  }
  return {};
}

Time CommittedUntil(const Terms& terms) {
  Time end = terms.start_month;
  for (std::int32_t i = 0; terms.commitment && i < terms.commitment->months; ++i) end = NextMonth(end);
  return end;
}

}  // namespace

bool SameContent(const Terms& a, const Terms& b) {
  return a.start_month == b.start_month && a.free_tokens == b.free_tokens && a.tiers == b.tiers &&
         a.discounts == b.discounts && a.free_amount == b.free_amount && a.commitment == b.commitment &&
         a.service_level == b.service_level && a.note == b.note;
}

bool IsCommitted(const Terms& terms, Time month) {
  return terms.commitment && month >= terms.start_month && month < CommittedUntil(terms);
}

Result<Terms> CheckTerms(Terms terms, int decimals) {
  ALLOD_CHECK_OK(CheckClauses("free_tokens", terms.free_tokens));
  for (const FreeTokens& clause : terms.free_tokens) {
    ALLOD_CHECK_OK(CheckTokens("free_tokens.tokens", clause.tokens));
  }
  ALLOD_CHECK_OK(CheckClauses("volume_tiers", terms.tiers));
  for (const VolumeTiers& clause : terms.tiers) ALLOD_CHECK_OK(CheckTiers(clause.tiers));
  ALLOD_CHECK_OK(CheckClauses("discounts", terms.discounts));
  for (const Discount& clause : terms.discounts) {
    ALLOD_CHECK_OK(CheckBasisPoints("discounts.basis_points", clause.basis_points, 1));
  }
  if (terms.free_amount) ALLOD_CHECK_OK(CheckAmount("free_amount", *terms.free_amount, decimals));
  if (terms.commitment) {
    ALLOD_CHECK_OK(CheckAmount("commitment.monthly_amount", terms.commitment->monthly, decimals));
    ALLOD_CHECK_OK(CheckBasisPoints("commitment.basis_points", terms.commitment->basis_points, 0));
    if (terms.commitment->months < 1 || terms.commitment->months > kCommitmentMonthsMax) {
      return Invalid("commitment.months",
                     fmt::format("{} is not from 1 to {}", terms.commitment->months, kCommitmentMonthsMax));
    }
  }
  ALLOD_CHECK_OK(CheckServiceLevel(terms.service_level));
  ALLOD_CHECK_OK(CheckText("terms.note", terms.note, 0, kNoteMax, true));
  return terms;
}

Result<std::optional<Terms>> DecideSet(const SetState& state, const Terms& wanted, Time now) {
  if (!state.account) return NoBillingAccount();
  const std::string month = PeriodOf(wanted.start_month).name;
  if (state.latest && SameContent(*state.latest, wanted)) return std::nullopt;
  if (state.last_invoiced && wanted.start_month <= *state.last_invoiced) {
    return FailedPrecondition("TERMS_MONTH_INVOICED",
                              fmt::format("terms.start_period: {} was invoiced; begin with {} or later", month,
                                          PeriodOf(NextMonth(*state.last_invoiced)).name));
  }
  if (state.latest && wanted.start_month < state.latest->start_month) {
    return FailedPrecondition("TERMS_OUT_OF_ORDER",
                              fmt::format("terms.start_period: {} is before {}, with which version {} begins", month,
                                          PeriodOf(state.latest->start_month).name, state.latest->version));
  }
  const Time current = ParsePeriod("current", now)->start;
  if (NextMonth(wanted.start_month) < current || wanted.start_month > current + std::chrono::days(366)) {
    return FailedPrecondition("TERMS_OUT_OF_ORDER",
                              fmt::format("terms.start_period: {} is neither the month before this one nor of the year "
                                          "after it",
                                          month));
  }
  if (state.latest && state.latest->commitment && CommittedUntil(*state.latest) > wanted.start_month) {
    const Time until = CommittedUntil(*state.latest);
    if (!wanted.commitment || wanted.commitment->monthly < state.latest->commitment->monthly ||
        CommittedUntil(wanted) < until) {
      return FailedPrecondition(
          "COMMITMENT_RUNS",
          fmt::format("terms.commitment: version {} commits to {} a month until {} begins; keep at least that as long",
                      state.latest->version, state.latest->commitment->monthly.ToString(), PeriodOf(until).name));
    }
  }
  if (state.latest && state.latest->version >= kVersionsMax) {
    return FailedPrecondition("TOO_MANY_TERMS", fmt::format("{} versions are the most", kVersionsMax));
  }
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", state.account->currency_code));
  ALLOD_TRY(Terms out, CheckTerms(wanted, decimals));
  out.version = state.latest ? state.latest->version + 1 : 1;
  out.create_time = std::chrono::floor<std::chrono::microseconds>(now);
  return std::optional(std::move(out));
}

const Terms* TermsOf(const std::vector<Terms>& versions, Time month) {
  const Terms* out = nullptr;
  for (const Terms& terms : versions) {
    if (terms.start_month <= month) out = &terms;
  }
  return out;
}

}  // namespace allod::billing::terms
