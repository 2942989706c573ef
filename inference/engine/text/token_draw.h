// One token drawn, under a rule that may allow only some: in pieces, so that it can be put off between any two of them.
//
// Under a rule a token is drawn as if there were no rule and only that one is checked; most of the time it is allowed.
// Else the tokens are checked from the likeliest down, in pieces of some milliseconds at most, until there are as many
// allowed ones as the sampler would look at, and the token is drawn from those: the same distribution as from a row in
// which all forbidden ones were made impossible, for a fraction of the work. Pure but for the clock that sizes the
// pieces; for one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "inference/engine/text/sampling.h"
#include "services/common/result.h"

namespace allod::inference::engine::text {

// What decides which tokens may come next. A call is not interrupted, so what it may cost is bounded by its owner.
class TokenRule {
 public:
  virtual ~TokenRule() = default;
  // Sets allowed[i] to whether tokens[i] may come next. RESOURCE_EXHAUSTED / PIECE_TOO_COSTLY when more than one token
  // was asked for and fewer should be; any other error ends the generation.
  virtual Status Check(std::span<const std::int32_t> tokens, std::span<bool> allowed) = 0;
  // The answer goes on with `token`. After an error the rule is of no use any more.
  virtual Status Accept(std::int32_t token) = 0;
  // Whether the answer ends with it, so that it is not accepted.
  virtual bool IsEnd(std::int32_t token) const = 0;
};

class TokenDraw {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // `logits` went through Sampler::Prepare. They are read until the draw is done or Keep was called; sampler and rule
  // until it is done. Without a rule it is one piece.
  TokenDraw(Sampler& sampler, TokenRule* rule, std::span<const float> logits);

  // One piece at least, and more until `until`. True when it is done.
  Result<bool> Advance(SteadyTime until);
  // What the draw still needs of the logits is copied: the row will be overwritten.
  void Keep();
  // When it is done; none when nothing is allowed.
  std::optional<std::int32_t> token() const { return token_; }

 private:
  Result<bool> Try();
  Result<bool> Search();
  void Choose();
  // The next tokens to check, best first, into order_[checked_, ranked_).
  void RankMore();

  Sampler& sampler_;
  TokenRule* const rule_;
  std::span<const float> logits_;
  std::vector<float> kept_;
  const std::size_t wanted_;         // allowed tokens that are enough
  bool tried_ = false;               // the token that was drawn without the rule
  std::vector<std::int32_t> order_;  // those possible at all; the first `ranked_` in order
  std::size_t ranked_ = 0;
  std::size_t checked_ = 0;
  std::size_t piece_;
  std::vector<std::int32_t> allowed_;
  std::optional<std::int32_t> token_;
};

}  // namespace allod::inference::engine::text
