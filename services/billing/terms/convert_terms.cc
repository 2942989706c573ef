#include "services/billing/terms/convert_terms.h"

#include <fmt/format.h>

#include <charconv>

#include "services/common/rpc/timestamp.h"

namespace allod::billing::terms {
namespace {

namespace pb = ::allod::billing::v1;

// Whatever the currency's minor unit is.
constexpr int kDecimalsMax = Amount::kDecimals;

}  // namespace

Result<Terms> FromProto(const pb::AgreedTerms& terms, Time now) {
  Terms out{.note = terms.note()};
  ALLOD_CHECK_OK(MatchName("price_terms.name", terms.name(), "tenants/*/priceTerms/-"));
  out.tenant_name = TenantOf(terms.name());
  ALLOD_TRY(out.tenant, TenantId::FromName(out.tenant_name));
  ALLOD_TRY(const InvoicePeriod period, ParsePeriod(terms.start_period(), now));
  out.start_month = period.start;
  for (const auto& clause : terms.free_tokens()) out.free_tokens.push_back({clause.model(), clause.tokens()});
  for (const auto& clause : terms.volume_tiers()) {
    VolumeTiers& row = out.tiers.emplace_back();
    row.model = clause.model();
    for (const auto& tier : clause.tiers()) row.tiers.push_back({tier.from_tokens(), tier.basis_points()});
  }
  for (const auto& clause : terms.discounts()) out.discounts.push_back({clause.model(), clause.basis_points()});
  for (const auto& step : terms.service_level()) {
    out.service_level.push_back({step.below_basis_points(), step.credit_basis_points()});
  }
  if (!terms.free_amount().empty()) {
    ALLOD_TRY(out.free_amount, Amount::Parse("price_terms.free_amount", terms.free_amount()));
  }
  if (terms.has_commitment()) {
    Commitment& commitment = out.commitment.emplace();
    ALLOD_TRY(commitment.monthly,
              Amount::Parse("price_terms.commitment.monthly_amount", terms.commitment().monthly_amount()));
    commitment.months = terms.commitment().months();
    commitment.basis_points = terms.commitment().basis_points();
  }
  return CheckTerms(std::move(out), kDecimalsMax);
}

Result<RequestId> RequestIdOf(const pb::SetPriceTermsRequest& request, const Terms& terms) {
  std::string payload = ToProto(terms).SerializeAsString();
  return MakeRequestId(request.request_id(), "SetPriceTerms", payload);
}

pb::AgreedTerms ToProto(const Terms& terms) {
  pb::AgreedTerms out;
  out.set_name(terms.version == 0 ? terms.tenant_name + "/priceTerms/-"
                                  : fmt::format("{}/priceTerms/{}", terms.tenant_name, terms.version));
  out.set_start_period(PeriodOf(terms.start_month).name);
  for (const FreeTokens& clause : terms.free_tokens) {
    auto& row = *out.add_free_tokens();
    row.set_model(clause.model);
    row.set_tokens(clause.tokens);
  }
  for (const VolumeTiers& clause : terms.tiers) {
    auto& row = *out.add_volume_tiers();
    row.set_model(clause.model);
    for (const Tier& tier : clause.tiers) {
      auto& step = *row.add_tiers();
      step.set_from_tokens(tier.from_tokens);
      step.set_basis_points(tier.basis_points);
    }
  }
  for (const Discount& clause : terms.discounts) {
    auto& row = *out.add_discounts();
    row.set_model(clause.model);
    row.set_basis_points(clause.basis_points);
  }
  if (terms.free_amount) out.set_free_amount(terms.free_amount->ToString());
  if (terms.commitment) {
    out.mutable_commitment()->set_monthly_amount(terms.commitment->monthly.ToString());
    out.mutable_commitment()->set_months(terms.commitment->months);
    out.mutable_commitment()->set_basis_points(terms.commitment->basis_points);
  }
  for (const ServiceLevelStep& step : terms.service_level) {
    auto& row = *out.add_service_level();
    row.set_below_basis_points(step.below);
    row.set_credit_basis_points(step.credit);
  }
  out.set_note(terms.note);
  if (terms.version != 0) *out.mutable_create_time() = ToTimestamp(terms.create_time);
  return out;
}

Result<TermsName> ParseTermsName(std::string_view field, const std::string& name) {
  TermsName out;
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/priceTerms/*"));
  ALLOD_TRY(out.tenant, TenantId::FromName(name));
  const std::string& version = parts.at(1);
  if (version == "current") return out;
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), out.version.emplace());
  if (error == std::errc() && end == version.data() + version.size() && *out.version > 0) return out;
  return InvalidArgument("INVALID_NAME",
                         fmt::format("{}: '{}' is neither the number of a version nor current", field, version));
}

}  // namespace allod::billing::terms
