#include "inference/engine/text/token_draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace allod::inference::engine::text {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

// How many are checked at once is learnt. A rule in many states at once costs much for each piece and little for each
// token, so pieces grow as long as they are short, whatever their size then is.
constexpr std::size_t kPieceFirst = 8;
constexpr std::size_t kPieceMax = 4096;
constexpr microseconds kPieceShort{4'000};
// How many are put in order at first, and how many times more each time that they were not enough: one pass over the
// vocabulary each.
constexpr std::size_t kRankedFirst = 64;
constexpr std::size_t kRankedGrowth = 4;

}  // namespace

TokenDraw::TokenDraw(Sampler& sampler, TokenRule* rule, std::span<const float> logits)
    : sampler_(sampler),
      rule_(rule),
      logits_(logits),
      wanted_(sampler.candidates_max() == 0 ? std::numeric_limits<std::size_t>::max() : sampler.candidates_max()),
      piece_(kPieceFirst) {}

void TokenDraw::Keep() {
  if (!kept_.empty()) return;
  kept_.assign(logits_.begin(), logits_.end());
  logits_ = kept_;
}

Result<bool> TokenDraw::Advance(SteadyTime until) {
  do {
    ALLOD_TRY(const bool done, tried_ ? Search() : Try());
    if (done) return true;
  } while (steady_clock::now() < until);
  return false;
}

Result<bool> TokenDraw::Try() {
  const std::int32_t token = sampler_.Pick(logits_);
  if (rule_ == nullptr) {
    token_ = token;
    return true;
  }
  bool allowed = false;
  ALLOD_CHECK_OK(rule_->Check({&token, 1}, {&allowed, 1}));
  tried_ = true;
  if (!allowed) return false;
  if (!rule_->IsEnd(token)) ALLOD_CHECK_OK(rule_->Accept(token));
  token_ = token;
  return true;
}

void TokenDraw::RankMore() {
  if (order_.empty()) {
    for (std::size_t i = 0; i < logits_.size(); ++i) {
      if (logits_[i] > -INFINITY) order_.push_back(static_cast<std::int32_t>(i));  // no NaN either
    }
  }
  const std::size_t from = ranked_;
  ranked_ = std::min(order_.size(), std::max(kRankedFirst, ranked_ * kRankedGrowth));
  // As the sampler orders them, so that it finds the same ones among those that are allowed.
  const auto better = [this](std::int32_t a, std::int32_t b) {
    const float left = logits_[static_cast<std::size_t>(a)];
    const float right = logits_[static_cast<std::size_t>(b)];
    return left > right || (left == right && a < b);
  };
  const auto at = [this](std::size_t i) { return order_.begin() + static_cast<std::ptrdiff_t>(i); };
  if (ranked_ < order_.size()) std::nth_element(at(from), at(ranked_), order_.end(), better);
  std::sort(at(from), at(ranked_), better);
}

Result<bool> TokenDraw::Search() {
  if (checked_ == ranked_) RankMore();
  const std::size_t count = std::min({piece_, kPieceMax, ranked_ - checked_});
  const std::span<const std::int32_t> tokens = std::span(order_).subspan(checked_, count);
  std::array<bool, kPieceMax> allowed{};
  const auto start = steady_clock::now();
  const Status checked = rule_->Check(tokens, std::span(allowed).first(count));
  if (!checked && checked.error().reason == "PIECE_TOO_COSTLY" && count > 1) {
    piece_ = std::max<std::size_t>(1, count / 8);
    return false;
  }
  ALLOD_CHECK_OK(checked);
  const auto took = steady_clock::now() - start;
  if (took < kPieceShort && count == piece_) piece_ = std::min(kPieceMax, piece_ * 2);
  for (std::size_t i = 0; i < count; ++i) {
    if (allowed[i] && allowed_.size() < wanted_) allowed_.push_back(tokens[i]);
  }
  checked_ += count;
  if (allowed_.size() < wanted_ && checked_ < order_.size()) return false;
  if (allowed_.empty()) return true;
  Choose();
  if (!rule_->IsEnd(*token_)) ALLOD_CHECK_OK(rule_->Accept(*token_));
  return true;
}

void TokenDraw::Choose() {
  Keep();
  std::vector<float> row(kept_.size(), -INFINITY);
  for (const std::int32_t token : allowed_)
    row[static_cast<std::size_t>(token)] = kept_[static_cast<std::size_t>(token)];
  token_ = sampler_.Pick(row);
}

}  // namespace allod::inference::engine::text
