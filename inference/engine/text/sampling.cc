#include "inference/engine/text/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace allod::inference::engine::text {
namespace {

constexpr std::size_t kBiasesMax = 300;

Status CheckRange(const char* field, float value, float min, float max) {
  if (value >= min && value <= max) return {};  // false for NaN
  return InvalidArgument("INVALID_SAMPLING",
                         fmt::format("sampling.{} is {}; it must be {} to {}", field, value, min, max));
}

// The first of the greatest. Written so that the compiler vectorises the maximum, which is the costly part.
std::int32_t ArgMax(std::span<const float> logits) {
  constexpr std::size_t kBlock = 1024;
  float best = -INFINITY;
  std::size_t best_block = 0;
  for (std::size_t start = 0; start < logits.size(); start += kBlock) {
    float block_best = -INFINITY;
    for (const float logit : logits.subspan(start, std::min(kBlock, logits.size() - start))) {
      block_best = logit > block_best ? logit : block_best;
    }
    if (block_best > best) {
      best = block_best;
      best_block = start;
    }
  }
  if (best == -INFINITY) return 0;  // nothing is possible
  const auto block = logits.subspan(best_block, std::min(kBlock, logits.size() - best_block));
  return static_cast<std::int32_t>(best_block + (std::ranges::find(block, best) - block.begin()));
}

}  // namespace

Status CheckSampling(const ports::SamplingOptions& options, std::int32_t vocabulary) {
  ALLOD_CHECK_OK(CheckRange("temperature", options.temperature, 0, 2));
  ALLOD_CHECK_OK(CheckRange("top_p", options.top_p, 0, 1));
  ALLOD_CHECK_OK(CheckRange("min_p", options.min_p, 0, 1));
  ALLOD_CHECK_OK(CheckRange("frequency_penalty", options.frequency_penalty, -2, 2));
  ALLOD_CHECK_OK(CheckRange("presence_penalty", options.presence_penalty, -2, 2));
  if (options.top_k < 0) {
    return InvalidArgument("INVALID_SAMPLING",
                           fmt::format("sampling.top_k is {}; it must be 0 (off) or more", options.top_k));
  }
  if (options.logit_bias.size() > kBiasesMax) {
    return InvalidArgument("INVALID_SAMPLING", fmt::format("sampling.logit_bias has {} tokens; at most {} are accepted",
                                                           options.logit_bias.size(), kBiasesMax));
  }
  for (const auto& [token, bias] : options.logit_bias) {
    if (token < 0 || token >= vocabulary) {
      return InvalidArgument(
          "INVALID_SAMPLING",
          fmt::format("sampling.logit_bias names the token {}; the model's tokens are 0 to {}", token, vocabulary - 1));
    }
    ALLOD_CHECK_OK(CheckRange("logit_bias", bias, -100, 100));
  }
  return {};
}

Sampler::Sampler(const ports::SamplingOptions& options)
    : options_(options),
      penalised_(options.frequency_penalty != 0 || options.presence_penalty != 0),
      random_(options.seed ? *options.seed : std::random_device{}()) {}

std::int32_t Sampler::Next(std::span<float> logits) {
  Prepare(logits);
  const std::int32_t token = Pick(logits);
  Accept(token);
  return token;
}

std::int32_t Sampler::Pick(std::span<const float> logits) {
  if (options_.temperature == 0 || options_.top_k == 1) return ArgMax(logits);
  CollectCandidates(logits);
  return candidates_.empty() ? 0 : Draw();
}

std::size_t Sampler::candidates_max() const {
  return options_.temperature == 0 ? 1 : static_cast<std::size_t>(options_.top_k);
}

void Sampler::Accept(std::int32_t token) {
  if (penalised_) ++generated_[token];
}

void Sampler::Prepare(std::span<float> logits) const {
  for (const auto& [token, bias] : options_.logit_bias) logits[static_cast<std::size_t>(token)] += bias;
  for (const auto& [token, count] : generated_) {
    logits[static_cast<std::size_t>(token)] -=
        options_.frequency_penalty * static_cast<float>(count) + options_.presence_penalty;
  }
}

// Leaves the top-k (all, if it is off) in candidates_, best first; equal logits in the order of their tokens.
void Sampler::CollectCandidates(std::span<const float> logits) {
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  const std::size_t k =
      options_.top_k == 0 ? logits.size() : std::min(logits.size(), static_cast<std::size_t>(options_.top_k));
  candidates_.clear();
  // Twice k are gathered before the worse half is thrown away, so most logits cost one comparison with the threshold.
  float threshold = -INFINITY;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > threshold)) continue;  // also NaN and minus infinity
    candidates_.push_back({logits[i], static_cast<std::int32_t>(i)});
    if (candidates_.size() < 2 * k) continue;
    std::ranges::nth_element(candidates_, candidates_.begin() + static_cast<std::ptrdiff_t>(k - 1), better);
    candidates_.resize(k);
    threshold = candidates_.back().logit;
  }
  std::ranges::sort(candidates_, better);
  if (candidates_.size() > k) candidates_.resize(k);
}

std::int32_t Sampler::Draw() {
  const float best = candidates_.front().logit;
  if (std::isinf(best)) return candidates_.front().token;
  // Unnormalised probabilities relative to the best, whose own is 1; they take the place of the logits.
  double sum = 0;
  for (Candidate& candidate : candidates_) {
    candidate.logit = std::exp((candidate.logit - best) / options_.temperature);
    sum += candidate.logit;
  }
  std::size_t kept = candidates_.size();
  if (options_.top_p < 1) {
    const double wanted = sum * options_.top_p;
    double reached = 0;
    for (std::size_t i = 0; i < kept; ++i) {
      reached += candidates_[i].logit;
      if (reached >= wanted) kept = i + 1;
    }
  }
  while (kept > 1 && candidates_[kept - 1].logit < options_.min_p) --kept;
  double total = 0;
  for (std::size_t i = 0; i < kept; ++i) total += candidates_[i].logit;
  // 53 random bits made by hand: std distributions differ between libraries.
  const std::uint64_t bits = (static_cast<std::uint64_t>(random_()) << 32 | random_()) >> 11;
  double left = static_cast<double>(bits) * 0x1.0p-53 * total;
  for (std::size_t i = 0; i < kept; ++i) {
    left -= candidates_[i].logit;
    if (left < 0) return candidates_[i].token;
  }
  return candidates_[kept - 1].token;
}

}  // namespace allod::inference::engine::text
