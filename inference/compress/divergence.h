// How far a compressed model's next-token distribution is from its source's, accumulated position by position.
//
// Definitions, the ones of llama.cpp's perplexity tool so that figures compare with published ones
// (docs/compression.md):
//   nll(p, t)     = -ln p(t), from a log-softmax in double precision with the maximum subtracted
//   perplexity    = exp(mean nll over the scored positions)
//   divergence    = D(source || variant) = sum over the whole vocabulary of p_s(v) * (ln p_s(v) - ln p_v(v)), in nats,
//   then
//                   the mean over the scored positions; never below zero
//   top-1         = share of positions at which both rank the same token first (the lowest id wins a tie)
//
// Not thread-safe: one accumulator per thread, then Merge.
#pragma once

#include <cstdint>
#include <span>

namespace allod::inference::compress {

class Divergence {
 public:
  // One position. Both rows are raw logits over the same vocabulary, `target` is the token that really follows. False
  // (and nothing is added) when a row holds a NaN or an infinite maximum, or the target is outside the vocabulary.
  bool Add(std::span<const float> source, std::span<const float> variant, std::int32_t target);
  // One position of the source alone: divergence 0, agreement 1.
  bool AddSource(std::span<const float> source, std::int32_t target);
  void Merge(const Divergence& other);

  std::int64_t positions() const { return positions_; }
  // Of at least one position.
  double source_perplexity() const;
  double perplexity() const;
  double mean_kl_divergence() const;
  double top1_agreement() const;

 private:
  std::int64_t positions_ = 0;
  std::int64_t same_top_ = 0;
  double source_nll_ = 0;
  double variant_nll_ = 0;
  double kl_ = 0;
};

}  // namespace allod::inference::compress
