#include "cli/commands/terms_options.h"

#include <fmt/format.h>

#include <charconv>

#include "cli/commands/percent.h"
#include "cli/commands/short_names.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;

std::unexpected<Error> Invalid(const std::string& option, const std::string& text, const char* form) {
  return InvalidArgument("INVALID_TERMS", fmt::format("{}: '{}' is not {}", option, text, form));
}

// "starter=5" is of models/starter, "5" of all.
struct OfModel {
  std::string model;
  std::string rest;
};
OfModel Split(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return {"", text};
  return {FullName("models", text.substr(0, equals)), text.substr(equals + 1)};
}

bool ReadNumber(const std::string& text, std::int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool ReadPercent(const std::string& text, std::int32_t& out) {
  const auto percent = ParsePercent("percent", text);
  if (percent) out = *percent;
  return percent.has_value();
}

std::string Percent(std::int32_t basis_points) { return PercentText(basis_points) + " %"; }

std::string Of(const std::string& model) { return model.empty() ? "all models" : model; }

}  // namespace

Result<billing_v1::AgreedTerms> TermsFrom(const TermsOptions& options, const std::string& tenant_name) {
  billing_v1::AgreedTerms out;
  out.set_name(tenant_name + "/priceTerms/-");
  out.set_start_period(options.start);
  out.set_free_amount(options.free_amount);
  out.set_note(options.note);
  for (const std::string& text : options.free_tokens) {
    const auto [model, rest] = Split(text);
    std::int64_t tokens = 0;
    if (!ReadNumber(rest, tokens)) return Invalid("--free-tokens", text, "[MODEL=]TOKENS");
    auto& clause = *out.add_free_tokens();
    clause.set_model(model);
    clause.set_tokens(tokens);
  }
  for (const std::string& text : options.tiers) {
    const auto [model, rest] = Split(text);
    const std::size_t colon = rest.find(':');
    std::int64_t from = 0;
    std::int32_t basis_points = 0;
    if (colon == std::string::npos || !ReadNumber(rest.substr(0, colon), from) ||
        !ReadPercent(rest.substr(colon + 1), basis_points)) {
      return Invalid("--tier", text, "[MODEL=]FROM_TOKENS:PERCENT");
    }
    billing_v1::AgreedTerms::VolumeTiers* clause = nullptr;
    for (auto& each : *out.mutable_volume_tiers()) {
      if (each.model() == model) clause = &each;
    }
    if (clause == nullptr) clause = out.add_volume_tiers();
    clause->set_model(model);
    auto& tier = *clause->add_tiers();
    tier.set_from_tokens(from);
    tier.set_basis_points(basis_points);
  }
  for (const std::string& text : options.discounts) {
    const auto [model, rest] = Split(text);
    std::int32_t basis_points = 0;
    if (!ReadPercent(rest, basis_points)) return Invalid("--discount", text, "[MODEL=]PERCENT with at most 2 decimals");
    auto& clause = *out.add_discounts();
    clause.set_model(model);
    clause.set_basis_points(basis_points);
  }
  for (const std::string& text : options.service_level) {
    const std::size_t colon = text.find(':');
    std::int32_t below = 0, credit = 0;
    if (colon == std::string::npos || !ReadPercent(text.substr(0, colon), below) ||
        !ReadPercent(text.substr(colon + 1), credit)) {
      return Invalid("--service-level", text, "PERCENT:PERCENT, as in 99.5:10");
    }
    auto& step = *out.add_service_level();
    step.set_below_basis_points(below);
    step.set_credit_basis_points(credit);
  }
  if (!options.commitment.empty()) {
    constexpr char kForm[] = "AMOUNT:MONTHS[:PERCENT]";
    const std::string& text = options.commitment;
    const std::size_t first = text.find(':');
    if (first == std::string::npos) return Invalid("--commit", text, kForm);
    const std::size_t second = std::min(text.find(':', first + 1), text.size());
    std::int64_t months = 0;
    std::int32_t basis_points = 0;
    if (!ReadNumber(text.substr(first + 1, second - first - 1), months) || months < 1 || months > 60 ||
        (second < text.size() && !ReadPercent(text.substr(second + 1), basis_points))) {
      return Invalid("--commit", text, kForm);
    }
    out.mutable_commitment()->set_monthly_amount(text.substr(0, first));
    out.mutable_commitment()->set_months(static_cast<std::int32_t>(months));
    out.mutable_commitment()->set_basis_points(basis_points);
  }
  return out;
}

std::string ShowTerms(const billing_v1::AgreedTerms& terms) {
  std::string out = fmt::format("{}, from {}\n", terms.name(), terms.start_period());
  if (!terms.note().empty()) out += fmt::format("  {}\n", terms.note());
  for (const auto& clause : terms.free_tokens()) {
    out += fmt::format("  {} tokens a month are free ({})\n", clause.tokens(), Of(clause.model()));
  }
  for (const auto& clause : terms.volume_tiers()) {
    for (const auto& tier : clause.tiers()) {
      out += fmt::format("  above {} tokens a month {} off ({})\n", tier.from_tokens(), Percent(tier.basis_points()),
                         Of(clause.model()));
    }
  }
  for (const auto& clause : terms.discounts()) {
    out += fmt::format("  {} off ({})\n", Percent(clause.basis_points()), Of(clause.model()));
  }
  for (const auto& step : terms.service_level()) {
    out += fmt::format("  {} of an instance's amount back where it was available for less than {}\n",
                       Percent(step.credit_basis_points()), Percent(step.below_basis_points()));
  }
  if (!terms.free_amount().empty()) out += fmt::format("  {} a month are free\n", terms.free_amount());
  if (terms.has_commitment()) {
    const auto& commitment = terms.commitment();
    out += fmt::format("  at least {} a month for {} months", commitment.monthly_amount(), commitment.months());
    if (commitment.basis_points() > 0) out += fmt::format(", {} off in return", Percent(commitment.basis_points()));
    out += "\n";
  }
  return out;
}

}  // namespace allod::cli::commands
