#include "services/billing/convert_lease.h"

#include <fmt/format.h>

#include <set>

#include "services/billing/convert.h"
#include "services/billing/convert_budget.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing {
namespace {

Result<Amount> ParsePart(std::string_view field, const std::string& text) {
  if (text.empty()) return Amount();
  ALLOD_TRY(const Amount amount, Amount::Parse(field, text));
  if (amount >= Amount()) return amount;
  return InvalidArgument("INVALID_AMOUNT", fmt::format("{}: {} is below zero", field, text));
}

Result<PriceKey> ParseTerms(std::string_view field, const v1::PriceTerms& terms) {
  PriceKey out{.variant = terms.variant()};
  ALLOD_TRY(out.price_book, PriceBookId(fmt::format("{}.price_book", field), terms.price_book()));
  ALLOD_CHECK_OK(MatchName(fmt::format("{}.variant", field), terms.variant(), "models/*/versions/*/variants/*"));
  if (!terms.isolation_class().empty()) out.isolation_class = terms.isolation_class();
  ALLOD_CHECK_OK(CheckIsolationClass(fmt::format("{}.isolation_class", field), out.isolation_class));
  return out;
}

Result<SliceKey> ParseSlice(std::string_view field, const v1::BudgetSlice& slice) {
  SliceKey out;
  ALLOD_TRY(out.budget, Uuid::Parse(slice.budget_uid()));
  ALLOD_TRY(out.start, TimeFrom(fmt::format("{}.start_time", field), slice.start_time()));
  return out;
}

Result<SliceAsk> ParseSliceChange(std::string_view field, const v1::SliceChange& change) {
  SliceAsk out;
  ALLOD_TRY(out.key, ParseSlice(fmt::format("{}.slice", field), change.slice()));
  ALLOD_TRY(out.need, ParsePart(fmt::format("{}.need", field), change.need()));
  ALLOD_TRY(out.want, ParsePart(fmt::format("{}.want", field), change.want()));
  ALLOD_TRY(out.give_back, ParsePart(fmt::format("{}.give_back", field), change.give_back()));
  if (out.want >= out.need) return out;
  return InvalidArgument("INVALID_AMOUNT",
                         fmt::format("{}.want: {} is below need, {}", field, out.want.ToString(), out.need.ToString()));
}

Result<LeasedUsage> ParseUsage(const v1::LeasedUsage& usage, const std::string& tenant) {
  LeasedUsage out{.instance = usage.instance(),
                  .api_key = usage.api_key(),
                  .prompt_tokens_max = usage.prompt_tokens_max(),
                  .completion_tokens_max = usage.completion_tokens_max(),
                  .prompt_tokens = usage.prompt_tokens(),
                  .completion_tokens = usage.completion_tokens()};
  ALLOD_TRY(out.request_id, ParseRequestId(usage.request_id()));
  ALLOD_TRY(out.lease_id, Uuid::Parse(usage.lease_id()));
  ALLOD_CHECK_OK(CheckBelow("instance", usage.instance(), "tenants/*/projects/*/instances/*", tenant));
  ALLOD_CHECK_OK(CheckApiKey(usage.api_key(), tenant));
  ALLOD_TRY(out.terms, ParseTerms("terms", usage.terms()));
  ALLOD_TRY(out.outcome, FromProto(usage.outcome()));
  if (static_cast<std::size_t>(usage.slices_size()) > kBudgetsMax) {
    return InvalidArgument("TOO_MANY_SLICES", fmt::format("slices: {}; at most {}", usage.slices_size(), kBudgetsMax));
  }
  for (const v1::BudgetSlice& slice : usage.slices()) {
    ALLOD_TRY(out.slices.emplace_back(), ParseSlice("slices", slice));
  }
  return out;
}

v1::BudgetSlice ToProto(const SliceKey& key) {
  v1::BudgetSlice out;
  out.set_budget_uid(key.budget.ToString());
  *out.mutable_start_time() = ToTimestamp(key.start);
  return out;
}

v1::HardBudget ToProto(const HardBudget& budget) {
  v1::HardBudget out;
  out.set_budget_uid(budget.uid.ToString());
  out.set_budget_id(budget.id);
  out.set_project(budget.scope.project);
  out.set_api_key(budget.scope.api_key);
  out.set_instance(budget.scope.instance);
  out.set_period(ToProto(budget.period));
  *out.mutable_start_time() = ToTimestamp(budget.start);
  *out.mutable_end_time() = ToTimestamp(budget.end);
  return out;
}

google::protobuf::Duration ToDuration(std::chrono::microseconds time) {
  google::protobuf::Duration out;
  out.set_seconds(time.count() / 1'000'000);
  out.set_nanos(static_cast<std::int32_t>(time.count() % 1'000'000 * 1000));
  return out;
}

}  // namespace

Result<AdjustLeaseCommand> FromProto(const v1::AdjustLeaseRequest& request) {
  AdjustLeaseCommand out{.epoch = request.epoch(), .end = request.end()};
  ALLOD_TRY(out.tenant, ParseTenant("tenant", request.tenant()));
  ALLOD_TRY(out.lease_id, Uuid::Parse(request.lease_id()));
  ALLOD_TRY(out.gateway, Uuid::Parse(request.gateway_id()));
  if (out.epoch < 1) return InvalidArgument("INVALID_EPOCH", "epoch: must be 1 or more");
  ALLOD_TRY(out.send_time, TimeFrom("send_time", request.send_time()));
  ALLOD_TRY(out.need, ParsePart("need", request.need()));
  ALLOD_TRY(out.want, ParsePart("want", request.want()));
  ALLOD_TRY(out.give_back, ParsePart("give_back", request.give_back()));
  if (out.want < out.need) {
    return InvalidArgument("INVALID_AMOUNT",
                           fmt::format("want: {} is below need, {}", out.want.ToString(), out.need.ToString()));
  }
  if (out.end && (out.want > Amount() || out.give_back > Amount())) {
    return InvalidArgument("INVALID_AMOUNT",
                           "end: a lease that ends is given back whole: leave out need, want and "
                           "give_back");
  }
  if (static_cast<std::size_t>(request.terms_size()) > kLeaseTermsMax) {
    return InvalidArgument("TOO_MANY_TERMS",
                           fmt::format("terms: {}; at most {}", request.terms_size(), kLeaseTermsMax));
  }
  for (int i = 0; i < request.terms_size(); ++i) {
    ALLOD_TRY(PriceKey terms, ParseTerms(fmt::format("terms[{}]", i), request.terms(i)));
    out.terms.push_back(std::move(terms));
  }
  out.budgets_version = request.budgets_version();
  if (static_cast<std::size_t>(request.slices_size()) > kSlicesPerAskMax || (out.end && request.slices_size() > 0)) {
    return InvalidArgument("TOO_MANY_SLICES", fmt::format("slices: {}; at most {}, and none with `end`",
                                                          request.slices_size(), kSlicesPerAskMax));
  }
  std::set<SliceKey> keys;
  for (int i = 0; i < request.slices_size(); ++i) {
    const std::string field = fmt::format("slices[{}]", i);
    ALLOD_TRY(out.slices.emplace_back(), ParseSliceChange(field, request.slices(i)));
    if (keys.insert(out.slices.back().key).second) continue;
    return InvalidArgument("DUPLICATE_SLICE", fmt::format("{}: is there before", field));
  }
  return out;
}

v1::AdjustLeaseResponse ToProto(const AdjustedLease& lease) {
  v1::AdjustLeaseResponse out;
  out.set_currency_code(lease.currency_code);
  out.set_added(lease.lease.added.ToString());
  out.set_remaining(lease.lease.remaining.ToString());
  *out.mutable_admit_for() = ToDuration(lease.admit_for);
  *out.mutable_ends_after() = ToDuration(lease.ends_after);
  for (const TokenPrice& price : lease.prices) {
    v1::TermsPrice& row = *out.add_prices();
    row.set_prompt(price.prompt.ToString());
    row.set_completion(price.completion.ToString());
  }
  out.set_recalled(lease.recalled);
  for (const SliceDecision& slice : lease.slices) {
    v1::SliceAnswer& row = *out.add_slices();
    row.set_exists(slice.exists);
    row.set_added(slice.added.ToString());
    row.set_is_short(slice.is_short);
  }
  if (lease.ask_again_after) *out.mutable_ask_again_after() = ToDuration(*lease.ask_again_after);
  for (const SliceKey& key : lease.recalled_slices) *out.add_recalled_slices() = ToProto(key);
  out.set_budgets_version(lease.budgets_version);
  for (const HardBudget& budget : lease.budgets) *out.add_budgets() = ToProto(budget);
  return out;
}

Result<EndEarlierCommand> FromProto(const v1::EndEarlierLeasesRequest& request) {
  EndEarlierCommand out;
  ALLOD_TRY(out.gateway, Uuid::Parse(request.gateway_id()));
  if (static_cast<std::size_t>(request.current_size()) > kCurrentLeasesMax) {
    return InvalidArgument("TOO_MANY_LEASES",
                           fmt::format("current: {}; at most {}", request.current_size(), kCurrentLeasesMax));
  }
  for (const std::string& text : request.current()) {
    ALLOD_TRY(const Uuid id, Uuid::Parse(text));
    out.current.push_back(id);
  }
  return out;
}

Result<SettleBatchParts> FromProto(const v1::SettleBatchRequest& request) {
  SettleBatchParts out;
  ALLOD_TRY(out.command.tenant, ParseTenant("tenant", request.tenant()));
  if (static_cast<std::size_t>(request.usage_size()) > kSettleBatchMax) {
    return InvalidArgument("BATCH_TOO_LARGE", fmt::format("usage: {} requests; send at most {} at once",
                                                          request.usage_size(), kSettleBatchMax));
  }
  for (const v1::LeasedUsage& each : request.usage()) {
    Result<LeasedUsage> usage = ParseUsage(each, request.tenant());
    out.errors.push_back(usage ? std::nullopt : std::optional(usage.error()));
    if (usage) out.command.usage.push_back(*std::move(usage));
  }
  return out;
}

v1::SettleBatchResponse ToProto(const SettleBatchParts& parts, const std::vector<Result<SettledUsage>>& results) {
  v1::SettleBatchResponse out;
  auto next = results.begin();
  for (const std::optional<Error>& malformed : parts.errors) {
    v1::SettleResult& row = *out.add_results();
    std::optional<Error> error = malformed;
    if (!error) {
      if (*next) {
        row.set_cost((*next)->cost.ToString());
      } else {
        error = next->error();
      }
      ++next;
    }
    if (!error) continue;
    row.set_reason(error->reason);
    row.set_message(error->message);
  }
  return out;
}

}  // namespace allod::billing
