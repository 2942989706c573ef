#include "inference/compress/divergence.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace allod::inference::compress {
namespace {

struct Row {
  std::size_t top = 0;
  double maximum = 0;
  double log_sum = 0;  // ln of the sum of exp(logit - maximum)

  double LogProbability(float logit) const { return static_cast<double>(logit) - maximum - log_sum; }
};

bool Normalise(std::span<const float> logits, Row& row) {
  if (logits.empty()) return false;
  for (std::size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[row.top]) row.top = i;
  }
  row.maximum = logits[row.top];
  if (!std::isfinite(row.maximum)) return false;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - row.maximum);
  row.log_sum = std::log(sum);
  return std::isfinite(row.log_sum);  // a NaN anywhere ends up here
}

bool Inside(std::span<const float> logits, std::int32_t target) {
  return target >= 0 && static_cast<std::size_t>(target) < logits.size();
}

}  // namespace

bool Divergence::Add(std::span<const float> source, std::span<const float> variant, std::int32_t target) {
  Row s;
  Row v;
  if (source.size() != variant.size() || !Inside(source, target)) return false;
  if (!Normalise(source, s) || !Normalise(variant, v)) return false;
  double kl = 0;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const double log_source = s.LogProbability(source[i]);
    const double probability = std::exp(log_source);
    // A token that the source rules out adds nothing, whatever the variant says of it.
    if (probability > 0) kl += probability * (log_source - v.LogProbability(variant[i]));
  }
  if (!std::isfinite(kl)) return false;
  kl_ += std::max(kl, 0.0);  // rounding may go below the true minimum
  source_nll_ -= s.LogProbability(source[target]);
  variant_nll_ -= v.LogProbability(variant[target]);
  same_top_ += s.top == v.top ? 1 : 0;
  ++positions_;
  return true;
}

bool Divergence::AddSource(std::span<const float> source, std::int32_t target) {
  Row s;
  if (!Inside(source, target) || !Normalise(source, s)) return false;
  const double nll = -s.LogProbability(source[target]);
  source_nll_ += nll;
  variant_nll_ += nll;
  ++same_top_;
  ++positions_;
  return true;
}

void Divergence::Merge(const Divergence& other) {
  positions_ += other.positions_;
  same_top_ += other.same_top_;
  source_nll_ += other.source_nll_;
  variant_nll_ += other.variant_nll_;
  kl_ += other.kl_;
}

double Divergence::source_perplexity() const { return std::exp(source_nll_ / static_cast<double>(positions_)); }
double Divergence::perplexity() const { return std::exp(variant_nll_ / static_cast<double>(positions_)); }
double Divergence::mean_kl_divergence() const { return kl_ / static_cast<double>(positions_); }
double Divergence::top1_agreement() const { return static_cast<double>(same_top_) / static_cast<double>(positions_); }

}  // namespace allod::inference::compress
