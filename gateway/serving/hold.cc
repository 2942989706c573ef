#include "gateway/serving/hold.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/metering/funds_errors.h"
#include "gateway/serving/peer_errors.h"
#include "services/common/fault_point.h"
#include "services/common/ids.h"

namespace allod::gateway::serving {
namespace {

// Of an instance that is updated faster than a request gets through.
constexpr int kReplacementsMax = 8;

// Billing takes the usage of a key or of a workload's rule of the tenant, and no other. It would say so when the answer
// has been delivered.
Status CheckOwner(const Hold::Owner& owner) {
  if (owner.api_key.empty()) return {};
  const bool is_known = MatchName("api_key", owner.api_key, "tenants/*/projects/*/apiKeys/*") ||
                        MatchName("api_key", owner.api_key, "tenants/*/projects/*/workloadRules/*");
  if (is_known && TenantOf(owner.api_key) == owner.tenant) return {};
  return Fail(Code::kInternal, "BILLING_FAILED",
              fmt::format("the request cannot be metered and was not run: '{}' is no key and no rule of {}",
                          owner.api_key, owner.tenant));
}

std::int64_t FirstOf(const TokenBounds& bounds) { return std::min(bounds.completion, kCompletionTokensStep); }

}  // namespace

http::Awaitable<Status> Hold::Take(const HoldTerms& terms, std::int64_t completion, Kind kind) {
  const metering::FundsRequest request{
      owner_.tenant,
      terms.price,
      {terms.bounds.prompt, completion},
      kind != Kind::kNew,
      kind == Kind::kMoreIfThere,
      {Uuid::Parse(owner_.request_id).value_or(Uuid()), owner_.api_key, owner_.instance}};
  Result<metering::Funds> taken = co_await funds_.Take(request, held_ ? &*held_ : nullptr, out_);
  if (!taken) co_return std::unexpected(OfBilling(std::move(taken).error()));
  held_ = *std::move(taken);
  completion_held_ = completion;
  co_return Status();
}

http::Awaitable<Status> Hold::Make(HoldTerms terms) {
  if (Status known = CheckOwner(owner_); !known) co_return known;
  if (Status fits = metering::Journal::CheckNames(terms.price, owner_.api_key); !fits) co_return fits;
  Status made = co_await Take(terms, FirstOf(terms.bounds), Kind::kNew);
  if (!made) co_return made;
  PassFaultPoint(FaultPoint::kHoldMade);
  metered_.SetTerms(
      {held_->lease_id, terms.price, held_->prices, {terms.bounds.prompt, completion_held_}, owner_.api_key});
  PassFaultPoint(FaultPoint::kHoldWritten);
  terms_ = std::move(terms);
  co_return made;
}

http::Awaitable<Status> Hold::Replace(HoldTerms terms) {
  if (++replacements_ > kReplacementsMax) {
    co_return std::unexpected(
        Error{Code::kUnavailable, "INSTANCE_CHANGING",
              fmt::format("the instance was updated {} times while this request waited; try again", kReplacementsMax),
              std::chrono::milliseconds(1000)});
  }
  PassFaultPoint(FaultPoint::kHoldReplacing);
  Status replaced = co_await Make(std::move(terms));
  co_return replaced;
}

http::Awaitable<Status> Hold::Extend(std::int64_t completion) {
  completion = std::min(completion, terms_.bounds.completion);
  if (completion <= completion_held_) co_return Status();
  const std::int64_t ahead = std::min(completion + kCompletionTokensStep, terms_.bounds.completion);
  Status extended = co_await Take(terms_, ahead, Kind::kMoreIfThere);
  // The last tokens that there is money for, one by one.
  if (!extended) extended = co_await Take(terms_, completion, Kind::kMore);
  if (!extended && !metering::IsMissingMoney(extended.error())) {
    extended.error().message = "the answer cannot be metered any further right now, and is not billed; try again";
  }
  PassFaultPoint(FaultPoint::kHoldExtended);
  // In the journal as well, before they may be delivered.
  if (extended) metered_.SetCompletionTokensMax(completion_held_);
  co_return extended;
}

}  // namespace allod::gateway::serving
