// The money held for one request: made before anything else is done, made again when the request comes to run on terms
// that it does not cover (its instance was updated while it waited), and extended as its answer grows.
//
// At first it is for the prompt and the beginning of the answer (kCompletionTokensStep), not for the longest answer
// that the request may have: most end long before. The worker is told what the request may have; what it writes beyond
// what is held waits here until more is held (Extend), and when there is no more money, the answer ends there.
//
// One per request; used by one coroutine.
#pragma once

#include "gateway/http/awaitable.h"
#include "gateway/http/response_writer.h"
#include "gateway/metering/funds_source.h"
#include "gateway/metering/metered_request.h"
#include "gateway/serving/hold_terms.h"
#include "services/common/result.h"

namespace allod::gateway::serving {

// Of an answer, or of all answers together: that many are held for at once, or what the request may have if it is less.
inline constexpr std::int64_t kCompletionTokensStep = 512;

class Hold {
 public:
  // Whose it is.
  struct Owner {
    std::string request_id;
    std::string tenant;
    std::string api_key;
    std::string instance{};  // in whose budgets it counts; empty: it was not said
  };

  // All references must outlive the hold.
  Hold(metering::FundsSource& funds, Owner owner, metering::MeteredRequest& metered, http::ResponseWriter& out)
      : funds_(funds), owner_(std::move(owner)), metered_(metered), out_(out) {}

  // The first. What the source of funds answered, as an error for the client; then nothing is held.
  http::Awaitable<Status> Make(HoldTerms terms);
  bool Covers(const HoldTerms& terms) const { return gateway::serving::Covers(terms_, terms); }
  // Replaces it by one on these terms. On an error nothing may run: the request is to be settled as it is.
  http::Awaitable<Status> Replace(HoldTerms terms);
  // What the request may have. Of the answer not all of it is held for yet.
  const TokenBounds& bounds() const { return terms_.bounds; }
  std::int64_t completion_held() const { return completion_held_; }
  // Holds for `completion` tokens of the answer, and some more, before they are handed over. At most what bounds()
  // says.
  http::Awaitable<Status> Extend(std::int64_t completion);
  const std::string& request_id() const { return owner_.request_id; }

 private:
  enum class Kind { kNew, kMore, kMoreIfThere };
  http::Awaitable<Status> Take(const HoldTerms& terms, std::int64_t completion, Kind kind);

  metering::FundsSource& funds_;
  const Owner owner_;
  metering::MeteredRequest& metered_;
  http::ResponseWriter& out_;
  HoldTerms terms_;
  std::int64_t completion_held_ = 0;
  std::optional<metering::Funds> held_;
  int replacements_ = 0;
};

}  // namespace allod::gateway::serving
