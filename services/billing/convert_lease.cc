#include "services/billing/convert_lease.h"

#include <fmt/format.h>

#include "services/billing/convert.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing {
namespace {

Result<Amount> ParsePart(std::string_view field, const std::string& text) {
  if (text.empty()) return Amount();
  ALLOD_TRY(const Amount amount, Amount::Parse(field, text));
  if (amount >= Amount()) return amount;
  return InvalidArgument("INVALID_AMOUNT", fmt::format("{}: {} is below zero", field, text));
}

Result<PriceTerms> ParseTerms(std::string_view field, const v1::PriceTerms& terms) {
  PriceTerms out{.variant = terms.variant()};
  ALLOD_TRY(out.price_book, PriceBookId(fmt::format("{}.price_book", field), terms.price_book()));
  ALLOD_CHECK_OK(MatchName(fmt::format("{}.variant", field), terms.variant(), "models/*/versions/*/variants/*"));
  if (!terms.isolation_class().empty()) out.isolation_class = terms.isolation_class();
  ALLOD_CHECK_OK(CheckIsolationClass(fmt::format("{}.isolation_class", field), out.isolation_class));
  return out;
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
    ALLOD_TRY(PriceTerms terms, ParseTerms(fmt::format("terms[{}]", i), request.terms(i)));
    out.terms.push_back(std::move(terms));
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
