#include "services/billing/terms/pg_terms.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "services/billing/terms/adjust.h"
#include "services/common/pg/row_reader.h"

namespace allod::billing::terms {
namespace {

using nlohmann::json;

constexpr std::string_view kTerms =
    "SELECT t.version, billing.to_micros(t.start_month::timestamp AT TIME ZONE 'UTC'), t.content::text, t.note, "
    "billing.to_micros(t.create_time), a.tenant_name FROM billing.price_terms t "
    "JOIN billing.billing_accounts a ON a.tenant_id = t.tenant_id WHERE t.tenant_id = $1::uuid ORDER BY t.version";

// All of the month, however it stands on invoices: tokens by model and price, then time.
constexpr std::string_view kUsed = R"(
  WITH m AS (SELECT (billing.from_micros($2) AT TIME ZONE 'UTC')::date AS month),
  tokens AS (
    SELECT t.variant, t.prompt_price AS price, t.prompt_tokens AS tokens FROM billing.usage_totals t, m
    WHERE t.tenant_id = $1::uuid AND t.month = m.month
    UNION ALL
    SELECT t.variant, t.completion_price, t.completion_tokens FROM billing.usage_totals t, m
    WHERE t.tenant_id = $1::uuid AND t.month = m.month)
  SELECT 'models/' || split_part(variant, '/', 2), price, sum(tokens)::bigint, 0::bigint FROM tokens GROUP BY 1, 2
  UNION ALL
  SELECT 'models/' || split_part(t.variant, '/', 2), t.hour_price, 0, sum(t.seconds)::bigint
  FROM billing.instance_time_totals t, m WHERE t.tenant_id = $1::uuid AND t.month = m.month GROUP BY 1, 2)";

constexpr std::string_view kInvoicedTerms =
    "SELECT g.term, sum(g.exact) FROM billing.invoice_charges g WHERE g.tenant_id = $1::uuid AND g.source = 'terms' "
    "AND g.month = (billing.from_micros($2) AT TIME ZONE 'UTC')::date GROUP BY g.term";

constexpr std::string_view kOpenMonths = R"(
  WITH p AS (SELECT (billing.from_micros($2) AT TIME ZONE 'UTC')::date AS month)
  SELECT billing.to_micros(o.month::timestamp AT TIME ZONE 'UTC') FROM (
    SELECT t.month FROM billing.usage_totals t, p WHERE t.tenant_id = $1::uuid AND t.open AND t.month <= p.month
    UNION
    SELECT t.month FROM billing.instance_time_totals t, p WHERE t.tenant_id = $1::uuid AND t.open AND t.month <= p.month) AS o)";

Amount PicoOf(const json& value) { return Amount::ParsePico(value.get<std::string>()).value(); }

// Written by ContentOf alone; what is not that is thrown, and becomes INTERNAL in PgPool::Run.
void ReadContent(const json& content, Terms& out) {
  for (const json& row : content.at("free_tokens")) {
    out.free_tokens.push_back({row.at("model").get<std::string>(), row.at("tokens").get<std::int64_t>()});
  }
  for (const json& row : content.at("tiers")) {
    VolumeTiers& clause = out.tiers.emplace_back();
    clause.model = row.at("model").get<std::string>();
    for (const json& tier : row.at("tiers")) {
      clause.tiers.push_back({tier.at("from").get<std::int64_t>(), tier.at("basis_points").get<std::int32_t>()});
    }
  }
  for (const json& row : content.at("discounts")) {
    out.discounts.push_back({row.at("model").get<std::string>(), row.at("basis_points").get<std::int32_t>()});
  }
  for (const json& row : content.at("service_level")) {
    out.service_level.push_back({row.at("below").get<std::int32_t>(), row.at("credit").get<std::int32_t>()});
  }
  if (content.contains("free_amount")) out.free_amount = PicoOf(content.at("free_amount"));
  if (content.contains("commitment")) {
    const json& row = content.at("commitment");
    out.commitment = {PicoOf(row.at("monthly")), row.at("months").get<std::int32_t>(),
                      row.at("basis_points").get<std::int32_t>()};
  }
}

Result<std::vector<Charge>> AdjustmentsOf(TenantTx& tx, TenantId tenant, const std::vector<Terms>& versions,
                                          Time month) {
  const Terms* terms = TermsOf(versions, month);
  if (terms == nullptr) return std::vector<Charge>();
  std::vector<Used> used;
  for (const auto& fields : tx.Exec(kUsed, tenant, month)) {
    RowReader row(fields);
    Used& out = used.emplace_back();
    std::int64_t seconds = 0;
    row.Into(out.model, out.price, out.tokens, seconds);
    if (seconds == 0) continue;
    ALLOD_TRY(out.time, ExactOf(seconds, out.price, kSecondsPerHour));
    out.price = Amount();
  }
  std::map<std::string, Amount> invoiced;
  for (const auto& fields : tx.Exec(kInvoicedTerms, tenant, month)) {
    RowReader row(fields);
    const auto term = row.Next<std::string>();
    invoiced[term] = row.Next<Amount>();
  }
  ALLOD_TRY(const Adjustments adjustments, Adjust(*terms, month, used));
  return OpenAdjustments(adjustments, invoiced, month);
}

}  // namespace

std::vector<Terms> ReadTermsIn(TenantTx& tx, TenantId tenant) {
  return ReadAll(tx.Exec(kTerms, tenant), [&](RowReader& row) {
    Terms out{.tenant = tenant};
    std::string content;
    row.Into(out.version, out.start_month, content, out.note, out.create_time, out.tenant_name);
    ReadContent(json::parse(content), out);
    return out;
  });
}

std::string ContentOf(const Terms& terms) {
  json out = {{"free_tokens", json::array()}, {"tiers", json::array()}, {"discounts", json::array()}};
  for (const FreeTokens& clause : terms.free_tokens) {
    out["free_tokens"].push_back({{"model", clause.model}, {"tokens", clause.tokens}});
  }
  for (const VolumeTiers& clause : terms.tiers) {
    json tiers = json::array();
    for (const Tier& tier : clause.tiers) {
      tiers.push_back({{"from", tier.from_tokens}, {"basis_points", tier.basis_points}});
    }
    out["tiers"].push_back({{"model", clause.model}, {"tiers", std::move(tiers)}});
  }
  for (const Discount& clause : terms.discounts) {
    out["discounts"].push_back({{"model", clause.model}, {"basis_points", clause.basis_points}});
  }
  out["service_level"] = json::array();
  for (const ServiceLevelStep& step : terms.service_level) {
    out["service_level"].push_back({{"below", step.below}, {"credit", step.credit}});
  }
  if (terms.free_amount) out["free_amount"] = terms.free_amount->ToPicoString();
  if (terms.commitment) {
    out["commitment"] = {{"monthly", terms.commitment->monthly.ToPicoString()},
                         {"months", terms.commitment->months},
                         {"basis_points", terms.commitment->basis_points}};
  }
  return out.dump();
}

Result<std::vector<Charge>> ReadMonthAdjustmentsIn(TenantTx& tx, TenantId tenant, Time month) {
  const std::vector<Terms> versions = ReadTermsIn(tx, tenant);
  return AdjustmentsOf(tx, tenant, versions, month);
}

Result<std::vector<Charge>> ReadOpenAdjustmentsIn(TenantTx& tx, TenantId tenant, std::optional<Time> last_invoiced,
                                                  Time period) {
  const std::vector<Terms> versions = ReadTermsIn(tx, tenant);
  std::vector<Charge> out;
  if (versions.empty()) return out;
  std::set<Time> months;
  for (const auto& fields : tx.Exec(kOpenMonths, tenant, period)) months.insert(RowReader(fields).Next<Time>());
  // No version begins with a month that was invoiced before it, so what is committed to is after the last invoice.
  Time month = versions.front().start_month;
  if (last_invoiced) month = std::max(month, NextMonth(*last_invoiced));
  for (; month <= period; month = NextMonth(month)) {
    const Terms* terms = TermsOf(versions, month);
    if (terms != nullptr && IsCommitted(*terms, month)) months.insert(month);
  }
  for (const Time each : months) {
    ALLOD_TRY(std::vector<Charge> charges, AdjustmentsOf(tx, tenant, versions, each));
    out.insert(out.end(), std::make_move_iterator(charges.begin()), std::make_move_iterator(charges.end()));
  }
  return out;
}

}  // namespace allod::billing::terms
