#include "gateway/serving/hold.h"

#include <fmt/format.h>

#include "gateway/metering/funds_errors.h"
#include "gateway/serving/peer_errors.h"

namespace allod::gateway::serving {
namespace {

// Of an instance that is updated faster than a request gets through.
constexpr int kReplacementsMax = 8;

}  // namespace

http::Awaitable<Status> Hold::Reserve(const HoldTerms& terms) {
  request_.set_variant(terms.variant);
  request_.set_price_book(terms.price_book);
  request_.set_isolation_class(terms.isolation_class);
  request_.set_prompt_tokens_max(terms.bounds.prompt);
  request_.set_completion_tokens_max(terms.bounds.completion);
  Status held = co_await funds_.Reserve(request_, out_);
  if (!held) co_return std::unexpected(OfBilling(std::move(held).error()));
  co_return held;
}

http::Awaitable<Status> Hold::Make(HoldTerms terms) {
  const Status made = co_await Reserve(terms);
  if (made) {
    terms_ = std::move(terms);
    metered_.MarkReserved();
  } else if (!metering::IsInDoubt(made.error())) {
    metered_.Drop();
  }
  co_return made;
}

http::Awaitable<Status> Hold::Replace(HoldTerms terms) {
  if (request_.revision() >= kReplacementsMax) {
    co_return std::unexpected(Error{
        Code::kUnavailable, "INSTANCE_CHANGING",
        fmt::format("the instance was updated {} times while this request waited; try again", request_.revision()),
        std::chrono::milliseconds(1000)});
  }
  request_.set_revision(request_.revision() + 1);
  const Status replaced = co_await Reserve(terms);
  if (replaced) terms_ = std::move(terms);
  co_return replaced;
}

}  // namespace allod::gateway::serving
